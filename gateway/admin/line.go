package admin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"warren/gateway"
	"warren/gateway/jsonv1"
)

// lineError is why the message of a line was not published, or not surely.
type lineError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// errLong is a line over the bound.
var errLong = errors.New("line too long")

// lines reads a body line by line.
type lines struct {
	in   *bufio.Reader
	most int // bytes of a line
	buf  []byte
}

func newLines(r io.Reader, most, buffer int) *lines {
	return &lines{in: bufio.NewReaderSize(r, buffer), most: most}
}

// next returns a line without its end, valid until the next call; errLong in
// place of one that is too long, after which comes the one behind; or why there
// is none, io.EOF at the end. The last one may lack its end, but only if the
// body is whole.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	long := false
	for {
		part, err := l.in.ReadSlice('\n')
		if len(l.buf)+len(part) > l.most+len("\r\n") {
			long = true
			l.buf = l.buf[:0]
		}
		if !long {
			l.buf = append(l.buf, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && err != io.EOF, err == io.EOF && len(l.buf) == 0 && !long:
			return nil, err
		case long:
			return nil, errLong
		}
		return bytes.TrimRight(l.buf, "\r\n"), nil
	}
}

// lineParser reads messages of lines.
type lineParser struct {
	json jsonv1.Parser
	most int // bytes of a payload
}

// publishField makes a line a publish of the JSON protocol, whose rules hold for
// it. At its end, so that places in errors are right.
const publishField = `"type":"publish"}`

// message reads a line, which it may overwrite behind its end. The payload is
// valid until the next call, or that of lines.next.
func (p *lineParser) message(line []byte) (gateway.Message, *lineError) {
	if !utf8.Valid(line) {
		return gateway.Message{}, &lineError{jsonv1.CodeBadJSON, "not valid UTF-8"}
	}
	line = bytes.TrimRight(line, " \t")
	// Without the bracket, Parse says what is missing.
	if open, ok := bytes.CutSuffix(line, []byte("}")); ok {
		line = open
		if !bytes.HasSuffix(bytes.TrimRight(open, " \t\r"), []byte("{")) {
			line = append(line, ',')
		}
		line = append(line, publishField...)
	}
	c, err := p.json.Parse(line, p.most)
	if err != nil {
		return gateway.Message{}, &lineError{err.Code, err.Message}
	}
	return gateway.Message{Channel: string(c.Channel), Payload: c.Payload, Text: c.Text}, nil
}

func longLine(most int) *lineError {
	return &lineError{jsonv1.CodeTooLarge, fmt.Sprintf("line over %d bytes", most)}
}
