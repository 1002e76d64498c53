package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// inputEvent is what a stream of frames must bring about as soon as its first
// at bytes have come.
type inputEvent struct {
	at   int
	kind inputKind
	text bool          // of a message
	data []byte        // of a message or ping
	code ws.StatusCode // of our close frame; 0 is without a body
	bye  bool          // by the peer's close frame, with no fault in it
}

type inputKind string

const (
	inputMessage inputKind = "message"
	inputPing    inputKind = "ping"
	inputEnd     inputKind = "end" // the peer's close frame, or its fault
)

func (e inputEvent) String() string {
	return fmt.Sprintf("at %d: %s, text %v, %d bytes %.40q, code %d", e.at, e.kind, e.text, len(e.data), e.data, e.code)
}

// modelInput says what RFC 6455 makes of a whole stream from a client, messages
// being at most most bytes: slowly, over a reader, keeping everything. idle is
// the places at which nothing is under way.
func modelInput(stream []byte, most int) (events []inputEvent, idle map[int]bool) {
	idle = map[int]bool{}
	var msg []byte
	var text, open bool // of a fragmented message
	fail := func(at int, code ws.StatusCode) {
		events = append(events, inputEvent{at: at, kind: inputEnd, code: code})
	}
	for pos := 0; ; {
		idle[pos] = !open
		left := stream[pos:]
		if at := modelHeader(left, open); at > 0 {
			fail(pos+at, ws.StatusProtocolError)
			return
		}
		r := bytes.NewReader(left)
		h, err := ws.ReadHeader(r)
		if err != nil {
			return // not whole
		}
		pos = len(stream) - r.Len()
		data := h.OpCode == ws.OpText || h.OpCode == ws.OpBinary || h.OpCode == ws.OpContinuation
		if data && h.Length > int64(most-len(msg)) {
			fail(pos, ws.StatusMessageTooBig)
			return
		}
		whole := int64(r.Len()) >= h.Length
		payload := bytes.Clone(stream[pos:][:min(h.Length, int64(r.Len()))])
		for i := range payload {
			payload[i] ^= h.Mask[i%4]
		}
		if h.OpCode == ws.OpText {
			text = true
		} else if h.OpCode == ws.OpBinary {
			text = false
		}
		if data && text {
			if bad := modelBadByte(append(msg, payload...)); bad >= 0 {
				fail(pos+bad-len(msg)+1, ws.StatusInvalidFramePayloadData)
				return
			}
		}
		if !whole {
			return
		}
		pos += len(payload)
		switch {
		case h.OpCode == ws.OpPing:
			events = append(events, inputEvent{at: pos, kind: inputPing, data: payload})
		case h.OpCode == ws.OpClose:
			code, fault := modelClose(payload)
			events = append(events, inputEvent{at: pos, kind: inputEnd, code: code, bye: !fault})
			return
		case data:
			msg = append(msg, payload...)
			if open = !h.Fin; open {
				continue
			}
			if text && !utf8.Valid(msg) {
				fail(pos, ws.StatusInvalidFramePayloadData) // it ends inside a rune
				return
			}
			events = append(events, inputEvent{at: pos, kind: inputMessage, text: text, data: bytes.Clone(msg)})
			msg = nil
		}
	}
}

// modelHeader says after how many bytes of a frame it is known to be against
// RFC 6455, 5; 0 if it is not, or not yet.
func modelHeader(b []byte, open bool) int {
	if len(b) < 2 {
		return 0
	}
	fin, rsv, op := b[0]>>7 == 1, b[0]>>4&7, b[0]&0xf
	masked, form := b[1]>>7 == 1, b[1]&0x7f
	switch op {
	case 0x0:
		if !open {
			return 2
		}
	case 0x1, 0x2:
		if open {
			return 2
		}
	case 0x8, 0x9, 0xa:
		if !fin || form > 125 {
			return 2
		}
	default:
		return 2
	}
	if rsv != 0 || !masked {
		return 2
	}
	switch {
	case form == 126 && len(b) >= 4 && binary.BigEndian.Uint16(b[2:]) < 126:
		return 4
	case form == 127 && len(b) >= 10:
		if n := binary.BigEndian.Uint64(b[2:]); n < 1<<16 || n >= 1<<63 {
			return 10
		}
	}
	return 0
}

// modelBadByte is the first byte of b that no text could go on from, -1 if
// there is none.
func modelBadByte(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r != utf8.RuneError || size > 1 {
			i += size
			continue
		}
		for n := 1; i+n <= len(b); n++ {
			if utf8.FullRune(b[i:][:n]) {
				return i + n - 1
			}
		}
		return -1 // a rune that is not whole
	}
	return -1
}

// modelClose is the code that answers a close frame, which may be at fault.
func modelClose(body []byte) (code ws.StatusCode, fault bool) {
	if len(body) == 0 {
		return 0, false
	}
	if len(body) == 1 {
		return ws.StatusProtocolError, true
	}
	code = ws.StatusCode(binary.BigEndian.Uint16(body))
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
	default:
		return ws.StatusProtocolError, true
	}
	if !utf8.Valid(body[2:]) {
		return ws.StatusInvalidFramePayloadData, true
	}
	return code, false
}
