package rig

import (
	"encoding/binary"
	"fmt"

	"github.com/gobwas/ws"
)

// window is what a client's bufio.Reader holds, and more than any message here.
const window = 64 << 10

// frame reads one frame in place. All must be whole messages, unmasked.
func (c *Client) frame() (op ws.OpCode, body []byte, err error) {
	head, err := c.in.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	first, size, length := head[0], 2, int(head[1])
	if length == 126 {
		size = 4
		if head, err = c.in.Peek(size); err != nil {
			return 0, nil, err
		}
		length = int(binary.BigEndian.Uint16(head[2:]))
	}
	if first&0xf0 != 0x80 || head[1] > 126 || size+length > window {
		return 0, nil, fmt.Errorf("frame header % x", head)
	}
	whole, err := c.in.Peek(size + length)
	if err != nil {
		return 0, nil, err
	}
	_, _ = c.in.Discard(len(whole)) // its bytes stay until the next read
	return ws.OpCode(first & 0x0f), whole[size:], nil
}

// masked is a client's frame.
func masked(op ws.OpCode, payload []byte) []byte {
	f := ws.NewFrame(op, true, append([]byte(nil), payload...))
	return ws.MustCompileFrame(ws.MaskFrameInPlaceWith(f, [4]byte{0x37, 0xfa, 0x21, 0x3d}))
}
