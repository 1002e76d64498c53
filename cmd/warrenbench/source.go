//go:build linux

package main

import (
	"fmt"

	"github.com/gobwas/ws"
)

// source makes messages go out to all clients of a fan. Its methods are called
// from the fan's loop and don't block.
type source interface {
	// one sends one message.
	one() error
	// flood begins to send as fast as it is let.
	flood() error
	// halt ends that.
	halt() error
	// sent is the number of messages since the clients connected, known for
	// good some time after halt.
	sent() (n int64, final bool)
}

// publisher is a source: client 0 of the fan, an ordinary WebSocket client. Like
// every client it hears what it says.
type publisher struct {
	f    *fan
	seq  int64
	text []byte

	// channel makes it a client of the JSON protocol, which asks for an ack
	// of each message.
	channel string
	command []byte // the last one
}

func newPublisher(f *fan, payloadSize int) *publisher {
	return &publisher{f: f, text: make([]byte, payloadSize)}
}

func (p *publisher) next(b []byte) []byte {
	payload(p.text, p.seq)
	message := p.text
	if p.channel != "" {
		p.command = fmt.Appendf(p.command[:0], `{"type":"publish","channel":%q,"text":"%s","ref":%d}`, p.channel, p.text, p.seq)
		message = p.command
	}
	b = appendClientFrame(b, ws.OpText, message, p.seq)
	p.seq++
	return b
}

// acked says whether all messages are confirmed, as far as that was asked for.
func (p *publisher) acked() bool { return p.channel == "" || p.f.clients[0].acks == p.seq }

func (p *publisher) one() error { return p.f.send(0, p.next(nil)) }

func (p *publisher) flood() error {
	const write = 16 << 10 // bytes
	p.f.fill = func(_ int, b []byte) []byte {
		for len(b) < write {
			b = p.next(b)
		}
		return b
	}
	p.f.clients[0].eager = true
	return p.f.flush(0)
}

func (p *publisher) halt() error {
	p.f.clients[0].eager = false
	return nil
}

func (p *publisher) sent() (int64, bool) {
	return p.seq, !p.f.clients[0].eager // what is made is sent in the end
}
