//go:build linux

package main

import (
	"bytes"
	"fmt"

	"github.com/gobwas/ws"
)

const seqDigits = 8

// payload fills p with the sequence number and padding. It is plain ASCII:
// no byte of it can be taken for a frame header (0x81).
func payload(p []byte, seq int64) {
	for i := range p {
		p[i] = 'x'
	}
	for i := min(seqDigits, len(p)) - 1; i >= 0; i-- {
		p[i] = byte('0' + seq%10)
		seq /= 10
	}
}

// serverFrame is a message as a server sends it: text, whole, unmasked.
func serverFrame(size int, seq int64) []byte {
	p := make([]byte, size)
	payload(p, seq)
	return ws.MustCompileFrame(ws.NewTextFrame(p))
}

// appendClientFrame adds a masked frame to b. The key varies with seq.
func appendClientFrame(b []byte, op ws.OpCode, p []byte, seq int64) []byte {
	k := uint32(seq)*2654435761 + 0x9e3779b9
	mask := [4]byte{byte(k), byte(k >> 8), byte(k >> 16), byte(k >> 24)}
	w := bytes.NewBuffer(b)
	// A bytes.Buffer returns no errors, and the header's length is not negative.
	_ = ws.WriteHeader(w, ws.Header{Fin: true, OpCode: op, Masked: true, Mask: mask, Length: int64(len(p))})
	b = append(w.Bytes(), p...)
	ws.Cipher(b[len(b)-len(p):], mask, 0)
	return b
}

// order is what is known of the numbers in the payloads that a client gets.
type order int

const (
	unnumbered order = iota
	fromZero         // 0, 1, 2, …
	fromAny          // the same, from wherever the first message is
	bySender         // several senders' numbers, see rows
)

// shape is what every data frame of a run looks like.
type shape struct {
	header []byte // text, FIN, unmasked, the length
	size   int    // bytes of a frame, with its header
	order  order
	json   bool // the payload is within a message of the JSON protocol: neither header nor size hold
}

func newShape(payloadSize int, o order) shape {
	f := serverFrame(payloadSize, 0)
	if payloadSize < seqDigits {
		o = unnumbered
	}
	return shape{header: f[:len(f)-payloadSize], size: len(f), order: o}
}

// is says whether b begins with the frame number seq.
func (s *shape) is(b []byte, seq int64) bool {
	if !bytes.HasPrefix(b, s.header) {
		return false
	}
	return s.order == unnumbered || s.number(b) == seq%1e8
}

// number is that of the frame b.
func (s *shape) number(b []byte) int64 { return number(b[len(s.header):]) }

// number is that of the payload p.
func number(p []byte) (n int64) {
	for _, d := range p[:seqDigits] {
		n = n*10 + int64(d-'0')
	}
	return n
}

// reader counts the frames in the bytes of one connection. Where they look as
// expected it goes by length and looks at two headers a read; else at each.
type reader struct {
	frames int64    // whole data frames
	first  int64    // number of the first, with fromAny
	rows   *rows    // with bySender
	head   [10]byte // of the frame under way
	have   uint8    // bytes of head
	left   int64    // payload bytes of that frame that are still to come
	body   []byte   // its payload so far, up to shape.peek bytes
	acks   int64    // of the JSON protocol
}

// peek is enough for a control frame (RFC 6455, 5.5) and a sequence number,
// which is far behind in JSON.
func (s *shape) peek() int {
	if s.json {
		return 64 << 10
	}
	return 125
}

// errClosed is a close frame.
type errClosed struct {
	code   ws.StatusCode
	reason string
}

func (e errClosed) Error() string { return fmt.Sprintf("closed with %d %q", e.code, e.reason) }

// take counts what is in b and returns a ping's payload to be answered, if
// there was one.
func (r *reader) take(b []byte, s *shape) (ping []byte, err error) {
	for len(b) > 0 {
		if r.have == 0 {
			if n := r.whole(b, s); n > 0 {
				b = b[n:]
				continue
			}
		}
		var done bool
		if b, done, err = r.step(b, s); err != nil {
			return nil, err
		}
		if done {
			p, err := r.frame(s)
			if err != nil {
				return nil, err
			}
			if p != nil {
				ping = p
			}
		}
	}
	return ping, nil
}

// whole counts the frames that b begins with, all of them as expected, and
// returns their bytes.
func (r *reader) whole(b []byte, s *shape) int {
	if s.json {
		return r.wholeMessages(b, s)
	}
	k := r.alike(b, s)
	r.frames += int64(k)
	return k * s.size
}

// alike is how many frames of the expected size and order b begins with.
func (r *reader) alike(b []byte, s *shape) int {
	k := len(b) / s.size
	if s.order == bySender {
		for i := range k {
			if !r.next(b[i*s.size:], s) {
				return i
			}
		}
		return k
	}
	if k == 0 || !r.next(b, s) || !s.is(b[(k-1)*s.size:], r.first+r.frames+int64(k-1)) {
		return 0
	}
	return k
}

// next says whether b begins with a frame that may come now.
func (r *reader) next(b []byte, s *shape) bool {
	switch {
	case s.order == bySender:
		if r.rows == nil {
			r.rows = &rows{}
		}
		return bytes.HasPrefix(b, s.header) && r.rows.next(s.number(b))
	case s.order == fromAny && r.frames == 0 && bytes.HasPrefix(b, s.header):
		r.first = s.number(b)
	}
	return s.is(b, r.first+r.frames)
}

// step takes one byte of a header, or what there is of a payload. done says
// that a frame is whole.
func (r *reader) step(b []byte, s *shape) (rest []byte, done bool, err error) {
	if r.have < 2 || r.have < headerSize(r.head[1]) {
		r.head[r.have] = b[0]
		r.have++
		b = b[1:]
		if r.have < 2 || r.have < headerSize(r.head[1]) {
			return b, false, nil
		}
		h, err := ws.ReadHeader(bytes.NewReader(r.head[:r.have]))
		if err != nil || h.Masked || h.Length < 0 {
			return nil, false, fmt.Errorf("frame header % x: not a server's", r.head[:r.have])
		}
		r.left = h.Length
		r.body = nil
		return b, r.left == 0, nil
	}
	n := int(min(r.left, int64(len(b))))
	r.left -= int64(n)
	if room := s.peek() - len(r.body); room > 0 {
		r.body = append(r.body, b[:min(n, room)]...)
	}
	return b[n:], r.left == 0, nil
}

// headerSize by the second byte (RFC 6455, 5.2).
func headerSize(second byte) uint8 {
	switch second & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

// frame judges the frame that has just become whole.
func (r *reader) frame(s *shape) (ping []byte, err error) {
	head, body := r.head[:r.have], r.body
	r.have, r.body = 0, nil
	switch op := ws.OpCode(head[0] & 0x0f); op {
	case ws.OpPing:
		return append([]byte{}, body...), nil
	case ws.OpPong:
		return nil, nil
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(body)
		return nil, errClosed{code, reason}
	}
	if s.json {
		return nil, r.heard(head, body, s)
	}
	if !bytes.Equal(head, s.header) {
		return nil, fmt.Errorf("frame header % x after %d frames: want % x", head, r.frames, s.header)
	}
	if s.order != unnumbered && !r.next(append(bytes.Clone(head), body...), s) {
		if s.order == bySender {
			return nil, fmt.Errorf("message %q after %d frames: not the next of its sender's", body, r.frames)
		}
		return nil, fmt.Errorf("message %q where number %d should be", body, r.first+r.frames)
	}
	r.frames++
	return nil, nil
}
