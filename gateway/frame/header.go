// Package frame encodes and decodes WebSocket frame headers (RFC 6455, 5.2)
// in place: no reader, no allocation.
package frame

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

// MaxHeader is the longest server header: 2 bytes and a 64-bit length.
const MaxHeader = 10

// MaxControl is the longest control frame a server sends.
const MaxControl = 2 + ws.MaxControlFramePayloadSize

// ErrLength refuses a payload length that is not in its shortest form, or has
// its top bit set (RFC 6455, 5.2). ws.ReadHeader accepts the former.
var ErrLength = errors.New("payload length is not minimally encoded")

// Decode reads the header at the start of b. n is its length in bytes, 0 while
// b doesn't hold all of it. The header is not yet checked against the state of
// the connection: see ws.CheckHeader.
func Decode(b []byte) (h ws.Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] >> 4 & 7
	h.OpCode = ws.OpCode(b[0] & 0x0f)
	h.Masked = b[1]&0x80 != 0
	h.Length = int64(b[1] & 0x7f)
	n = 2
	switch h.Length {
	case 126:
		if n += 2; len(b) < n {
			return h, 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
		if h.Length < 126 {
			return h, 0, ErrLength
		}
	case 127:
		if n += 8; len(b) < n {
			return h, 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
		if h.Length <= 0xffff { // negative: the top bit
			return h, 0, ErrLength
		}
	}
	if h.Masked {
		if n += 4; len(b) < n {
			return h, 0, nil
		}
		copy(h.Mask[:], b[n-4:])
	}
	return h, n, nil
}

// Size is the length in bytes of a server's frame with so much payload.
func Size(payload int) int {
	switch {
	case payload < 126:
		return 2 + payload
	case payload <= 0xffff:
		return 4 + payload
	}
	return 10 + payload
}

// Append appends one final, unmasked frame to dst.
func Append(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendHeader appends the header of a final, unmasked frame with n bytes of
// payload.
func AppendHeader(dst []byte, op ws.OpCode, n int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= 0xffff:
		dst = append(dst, 126, byte(n>>8), byte(n))
	default:
		dst = append(dst, 127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

// AppendClose appends a close frame to dst. The reason is cut to what a control
// frame can hold, 123 bytes; it must be ASCII. Code 0 makes a close frame
// without a body.
func AppendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	if code == 0 {
		return append(dst, 0x80|byte(ws.OpClose), 0)
	}
	if most := ws.MaxControlFramePayloadSize - 2; len(reason) > most {
		reason = reason[:most]
	}
	dst = append(dst, 0x80|byte(ws.OpClose), byte(2+len(reason)), byte(code>>8), byte(code))
	return append(dst, reason...)
}
