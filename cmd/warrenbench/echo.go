//go:build linux

package main

import (
	"bytes"

	"github.com/gobwas/ws"
)

// echo turns bare into a stand-in for a server, for the tests of the load
// itself. It is no gateway: it believes what it reads and waits for whoever is
// slow.
type echo struct {
	partial map[int][]byte // incomplete frames, by descriptor
}

// repeat sends the messages in p, which came from fd, to all sockets.
func (e *echo) repeat(fd int, p []byte, sockets []int) {
	p = append(e.partial[fd], p...)
	var all []byte
	for {
		r := bytes.NewReader(p)
		h, err := ws.ReadHeader(r)
		if err != nil || int64(r.Len()) < h.Length {
			break // incomplete
		}
		body := p[len(p)-r.Len():][:h.Length]
		ws.Cipher(body, h.Mask, 0)
		if h.OpCode == ws.OpText {
			all = append(all, ws.MustCompileFrame(ws.NewTextFrame(body))...)
		}
		p = p[len(p)-r.Len()+len(body):]
	}
	e.partial[fd] = bytes.Clone(p)
	for _, to := range sockets {
		write(to, all)
	}
}
