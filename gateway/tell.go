package gateway

import (
	"github.com/gobwas/ws"

	"warren/gateway/frame"
	"warren/gateway/jsonv1"
)

// tell gives an open client of the JSON protocol private output: whole frames,
// which go out before what its channels have for it.
func (s *shard) tell(c *client, frames []byte) {
	if c.state != open {
		return
	}
	if c.out != nil {
		s.owe(c, frames)
		return
	}
	j := c.json
	if len(j.private) == 0 {
		s.told = append(s.told, c)
	}
	j.private = append(j.private, frames...)
}

// owe adds private output to what an open client is owed already. Who takes none
// of it is slow.
func (s *shard) owe(c *client, frames []byte) {
	d := c.out
	d.private = append(d.private, frames...)
	if len(d.private) > s.g.o.Clients.MaxLag {
		s.g.count.evicted.Add(1)
		s.shut(c, statusTryAgainLater, reasonSlow, dropLog)
		return
	}
	if d.parked || d.starved {
		s.flush(c)
	}
}

// sayTold writes the private output of those who are owed nothing else: all of
// a round at once.
func (s *shard) sayTold() {
	for _, c := range s.told {
		j := c.json
		if c.state != open || c.out != nil || len(j.private) == 0 {
			continue // it is gone, or it has become a debt
		}
		frames := j.private
		j.private = nil // most clients are idle
		s.send(c, frames)
	}
	clear(s.told)
	s.told = s.told[:0]
}

// direct is Deliver for a message to one connection.
func (g *Gateway) direct(m *Message) {
	g.count.direct.Add(1)
	if m.Client.shard() >= len(g.shards) {
		g.count.directLost.Add(1)
		return
	}
	own := *m
	own.Payload = append([]byte(nil), m.Payload...)
	g.shards[m.Client.shard()].post(note{kind: noteDirect, to: m.Client, m: &own})
}

// direct writes a client a message that is for it alone.
func (s *shard) direct(to ConnID, m *Message) {
	c := s.find(to)
	switch {
	case c == nil || c.enc == eventStream || len(m.Payload) > s.g.o.WebSocket.MaxDeliverSize:
		s.g.count.directLost.Add(1)
	case c.json != nil:
		s.tell(c, s.say(func(b []byte) []byte {
			return jsonv1.AppendDirect(b, &jsonv1.Message{
				Publisher: m.MessageID.Publisher, Seq: m.MessageID.Seq, Text: m.Text, Payload: m.Payload,
			})
		}))
	default:
		op := ws.OpBinary
		if m.Text {
			op = ws.OpText
		}
		b := frame.Append(s.said[:0], op, m.Payload)
		if c.out != nil {
			s.owe(c, b)
		} else {
			s.send(c, b)
		}
	}
}

// say encodes a frame of the JSON protocol, valid until the next.
func (s *shard) say(message func([]byte) []byte) []byte {
	b := closeText(message(openText(s.said[:0])), 0)
	if s.said = b; cap(b) > scratchKept {
		s.said = nil
	}
	return b
}
