package gateway

import (
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"warren/gateway/frame"
)

// maxHeaderIn is the longest header of a client's frame (RFC 6455, 5.2).
const maxHeaderIn = 14

// maxHeadIn is what is kept of a header or control frame that isn't whole.
const maxHeadIn = maxHeaderIn + ws.MaxControlFramePayloadSize

// read takes what came.
func (s *shard) read(c *client) {
	buf := s.buf[:]
	if c.hold != nil || len(s.holds) > 0 {
		buf = buf[:holdSlack] // what comes now has to be kept, as a rule
	}
	n, err := unix.Read(c.sock(), buf)
	switch {
	case n > 0:
	case err == nil:
		s.endOfInput(c)
		return
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return
	default:
		s.drop(c, endReset)
		return
	}
	c.heard = s.now
	c.pinged = false
	switch {
	case c.deaf:
	case c.state == reading:
		s.head(c, buf[:n])
	default:
		s.input(c, buf[:n])
	}
}

// input takes bytes of frames. They are parsed in place and only what isn't
// whole at the end of b is kept.
func (s *shard) input(c *client, b []byte) {
	for len(b) > 0 && !c.deaf && c.talking() {
		if c.in != nil && c.in.need > 0 {
			b = s.payload(c, b)
			continue
		}
		if b = s.frame(c, b); b == nil {
			break
		}
	}
	if body := s.ping; body != nil {
		s.ping = nil
		if c.state == open {
			s.pong(c, body)
		}
	}
	if c.talking() {
		if c.in != nil && c.in.idle() {
			s.release(c)
		}
		if c.hold != nil {
			s.rewatch(c)
		}
	}
}

// idle says that nothing is under way.
func (in *inbound) idle() bool {
	return len(in.head) == 0 && in.need == 0 && !in.fragmented && len(in.msg) == 0
}

// frame takes a header, with its payload if it is a control frame or a whole
// message. It returns what is left of b, nil if all was taken.
func (s *shard) frame(c *client, b []byte) []byte {
	src, kept := b, 0
	if c.in != nil && len(c.in.head) > 0 {
		kept = len(c.in.head)
		c.in.head = append(c.in.head, b[:min(len(b), maxHeadIn-kept)]...)
		src = c.in.head
	}
	h, n, err := frame.Decode(src)
	if err == nil && n > 0 {
		err = ws.CheckHeader(h, c.wsState())
	} else if err == nil && len(src) >= 2 {
		// Bad from its first two bytes on: say so at once.
		err = checkEarly(src, c.wsState())
	}
	switch {
	case err != nil:
		s.fail(c, ws.StatusProtocolError, err.Error())
		return nil
	case n == 0, h.OpCode.IsControl() && len(src) < n+int(h.Length):
		if kept == 0 {
			s.keepHead(c, b)
		}
		return nil
	}
	if h.OpCode.IsControl() {
		end := n + int(h.Length)
		body := src[n:end]
		ws.Cipher(body, h.Mask, 0)
		if kept > 0 {
			c.in.head = c.in.head[:0]
		}
		s.control(c, h.OpCode, body)
		return b[end-kept:]
	}
	if kept > 0 {
		c.in.head = c.in.head[:0]
	}
	return s.data(c, h, b[n-kept:])
}

// checkEarly judges a header of which only a part has come.
func checkEarly(b []byte, st ws.State) error {
	h := ws.Header{
		Fin:    b[0]&0x80 != 0,
		Rsv:    b[0] >> 4 & 7,
		OpCode: ws.OpCode(b[0] & 0x0f),
		Masked: b[1]&0x80 != 0,
		Length: int64(b[1] & 0x7f), // 126 and 127 are too long for control frames
	}
	return ws.CheckHeader(h, st)
}

func (s *shard) keepHead(c *client, b []byte) {
	if !s.charge(c, 0) {
		s.fail(c, statusTryAgainLater, reasonMemory)
		return
	}
	c.in.head = append(c.in.head, b...)
}

// data begins a data frame. Whole messages are published from where they lie.
func (s *shard) data(c *client, h ws.Header, b []byte) []byte {
	text := h.OpCode == ws.OpText
	before := 0
	if h.OpCode == ws.OpContinuation {
		text, before = c.in.text, len(c.in.msg)
	}
	switch {
	case s.g.o.WebSocket.ReadOnly && c.json == nil:
		s.fail(c, ws.StatusPolicyViolation, "publishing is off")
		return nil
	case h.Length > int64(s.g.largest(c)-before):
		s.fail(c, ws.StatusMessageTooBig, s.g.tooBig)
		return nil
	}
	if h.Fin && h.OpCode != ws.OpContinuation && int64(len(b)) >= h.Length {
		p := b[:h.Length]
		ws.Cipher(p, h.Mask, 0)
		if text && !utf8.Valid(p) {
			s.fail(c, ws.StatusInvalidFramePayloadData, reasonUTF8)
			return nil
		}
		s.publish(c, text, p)
		return b[h.Length:]
	}
	if !s.charge(c, 0) {
		s.fail(c, statusTryAgainLater, reasonMemory)
		return nil
	}
	in := c.in
	in.text, in.fragmented = text, !h.Fin
	in.need, in.mask, in.masked = h.Length, h.Mask, 0
	if in.need == 0 {
		s.frameDone(c)
	}
	return b
}

// largest is the most bytes that c's messages may have. A command's payload may
// be in base64, or escaped; its own size is looked at when it is decoded.
func (g *Gateway) largest(c *client) int {
	if c.json != nil {
		return 2*g.o.WebSocket.MaxMessageSize + commandRoom
	}
	return g.o.WebSocket.MaxMessageSize
}

// commandRoom is what a command has beside its payload.
const commandRoom = 4 << 10

// payload takes bytes of the frame under way, unmasked and checked as they come.
func (s *shard) payload(c *client, b []byte) []byte {
	in := c.in
	n := int(min(in.need, int64(len(b))))
	if !s.charge(c, n) {
		s.fail(c, statusTryAgainLater, reasonMemory)
		return nil
	}
	ws.Cipher(b[:n], in.mask, in.masked)
	if in.text && !in.utf8.Write(b[:n]) {
		s.fail(c, ws.StatusInvalidFramePayloadData, reasonUTF8)
		return nil
	}
	in.msg = append(in.msg, b[:n]...)
	in.masked += n
	in.need -= int64(n)
	if in.need == 0 {
		s.frameDone(c)
	}
	return b[n:]
}

// frameDone ends a frame, and the message if it was its last.
func (s *shard) frameDone(c *client) {
	in := c.in
	if in.fragmented {
		return
	}
	if in.text && !in.utf8.Complete() {
		s.fail(c, ws.StatusInvalidFramePayloadData, reasonUTF8)
		return
	}
	s.publish(c, in.text, in.msg)
	if c.in == in { // it may have failed
		s.uncharge(c, len(in.msg))
		in.msg = nil // its capacity is no longer charged
		in.utf8.Reset()
	}
}

// control handles a whole control frame (RFC 6455, 5.5).
func (s *shard) control(c *client, op ws.OpCode, body []byte) {
	switch op {
	case ws.OpPing:
		// Of several in one read the latest is answered (RFC 6455, 5.5.3):
		// a flood of pings must not cost a write each.
		s.ping = append(s.pingBuf[:0], body...)
	case ws.OpPong: // a sign of life, like any byte
	case ws.OpClose:
		s.peerCloses(c, body)
	}
}
