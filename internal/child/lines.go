package child

import (
	"bytes"
	"io"
	"sync"
)

// maxLine bounds what is kept of a line that doesn't end.
const maxLine = 64 << 10

// Lines writes what several programs print to one place, line by line, each
// with its program's name.
type Lines struct {
	mu sync.Mutex
	w  io.Writer
}

// NewLines returns Lines that write to w.
func NewLines(w io.Writer) *Lines { return &Lines{w: w} }

// Prefixed returns a writer that puts prefix before each line. It is for one
// goroutine, as exec.Cmd has for a writer that is both Stdout and Stderr.
func (l *Lines) Prefixed(prefix string) io.Writer { return &prefixed{lines: l, prefix: prefix} }

type prefixed struct {
	lines  *Lines
	prefix string
	rest   []byte // of a line that hasn't ended
}

func (p *prefixed) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 {
			if len(p.rest) < maxLine {
				return len(b), nil
			}
			i = len(p.rest)
		}
		if err := p.lines.line(p.prefix, p.rest[:i]); err != nil {
			return 0, err
		}
		p.rest = p.rest[min(i+1, len(p.rest)):]
	}
}

func (l *Lines) line(prefix string, b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := append(append([]byte(prefix), bytes.TrimRight(b, "\r")...), '\n')
	_, err := l.w.Write(line)
	return err
}
