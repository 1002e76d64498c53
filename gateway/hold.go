package gateway

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"

	"warren/gateway/jsonv1"
)

// holdSlack is what a client that is held back may send beyond the message
// that was refused, so that its pings are seen.
const holdSlack = 4 << 10

// hold is what a client sent that the exchange would not take yet, in order.
// It outlives its connection: a message that was read is not lost because its
// sender left.
type hold struct {
	c       *client // nil once its connection is gone
	id      ConnID
	channel string
	secret  string // Message.Session
	charged int64
	first   int    // size of the message that began it
	buf     []byte // records: a byte, its kind; the length in 4; the payload or command
	off     int    // records published
}

// full says that its client is read from no more. What was read at once with
// the refused message is kept beyond that.
func (h *hold) full() bool { return len(h.buf)-h.off+h.partial() >= h.first+holdSlack }

func (h *hold) partial() int {
	if h.c == nil || h.c.in == nil {
		return 0
	}
	return len(h.c.in.msg)
}

// publish hands a client's message to the exchange, or holds it.
func (s *shard) publish(c *client, text bool, payload []byte) {
	s.g.count.received.Add(1)
	if c.json != nil {
		s.command(c, text, payload)
		return
	}
	kind := kindBinary
	if text {
		kind = kindText
	}
	m := Message{Channel: c.channel, Payload: payload, Text: text, Client: c.id}
	if err := s.offer(c, m, kind, payload, nil); err != nil {
		s.fail(c, ws.StatusInternalServerError, "message not accepted")
	}
}

// offer hands m to the exchange, or holds record, from which it can be made
// again. An error means that it can't be published at all.
func (s *shard) offer(c *client, m Message, kind byte, record, ref []byte) *jsonv1.Error {
	// Others wait already: first in, first out.
	if len(s.holds) == 0 {
		err := s.g.ex.Publish(m)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, ErrBusy):
			s.publishFailed(err)
			return notAccepted(err, ref)
		}
	}
	s.holdBack(c, kind, record)
	return nil
}

func (s *shard) publishFailed(err error) {
	s.g.count.publishErrors.Add(1)
	s.g.log.Error("a client's message was refused by the exchange", "err", err)
}

func (s *shard) holdBack(c *client, kind byte, payload []byte) {
	size := int64(len(payload) + holdRecord)
	if c.hold == nil {
		size += holdCost
	}
	if !s.g.reserve(size) {
		s.g.count.inboundFull.Add(1)
		s.fail(c, statusTryAgainLater, reasonMemory)
		return
	}
	h := c.hold
	if h == nil {
		h = &hold{c: c, id: c.id, channel: c.channel, first: len(payload)}
		if c.json != nil {
			h.secret = c.json.secret
		}
		c.hold = h
		s.holds = append(s.holds, h)
		s.g.holding.Add(1)
		s.g.count.held.Add(1)
	}
	h.charged += size
	h.buf = append(h.buf, kind)
	h.buf = binary.BigEndian.AppendUint32(h.buf, uint32(len(payload)))
	h.buf = append(h.buf, payload...)
}

// Kinds of records: a message of a raw client, or a whole command.
const (
	kindBinary byte = iota
	kindText
	kindCommand
)

const (
	holdRecord = 5   // bytes before a payload
	holdCost   = 128 // bytes of a hold beside its records
)

// compact gives back what is published of a hold that isn't done.
func (s *shard) compact(h *hold) {
	if h.off <= len(h.buf)/2 {
		return
	}
	s.g.inbound.Add(-int64(h.off))
	h.charged -= int64(h.off)
	h.buf = append([]byte(nil), h.buf[h.off:]...)
	h.off = 0
}

// publishHeld goes on where the exchange was busy.
func (s *shard) publishHeld() {
	for len(s.holds) > 0 {
		h := s.holds[0]
		for h.off < len(h.buf) {
			b := h.buf[h.off:]
			size := int(binary.BigEndian.Uint32(b[1:]))
			payload := b[holdRecord : holdRecord+size]
			m := s.held(h, b[0], payload)
			err := s.g.ex.Publish(m)
			if errors.Is(err, ErrBusy) {
				s.compact(h)
				return
			}
			if err != nil {
				s.publishFailed(err)
				s.refuseHeld(h, b[0], m, err)
			}
			h.off += holdRecord + size
		}
		s.holds[0] = nil
		s.holds = s.holds[1:]
		s.g.inbound.Add(-h.charged)
		s.g.holding.Add(-1)
		if c := h.c; c != nil {
			c.hold = nil
			c.heard = s.now // it could not be heard
			s.resume(c)
		}
	}
	s.holds = nil // give back what it grew to
	s.g.settle()
}

// refuseHeld tells a client of the JSON protocol that its message won't be
// published after all.
func (s *shard) refuseHeld(h *hold, kind byte, m Message, err error) {
	switch {
	case m.Settled != nil:
		m.Settled(MessageID{}, err)
	case kind == kindCommand && h.c != nil:
		s.refuseCommand(h.c, notAccepted(err, nil))
	}
}

// held is the message of a record.
func (s *shard) held(h *hold, kind byte, payload []byte) Message {
	if kind != kindCommand {
		return Message{Channel: h.channel, Payload: payload, Text: kind == kindText, Client: h.id}
	}
	cmd, _ := s.parser.Parse(payload, s.g.o.WebSocket.MaxMessageSize) // it was right before
	return s.message(&cmd, h.id, h.secret)
}

// resume reads on from a client that was held back.
func (s *shard) resume(c *client) {
	if c.peerDone && c.state == open {
		s.shut(c, c.peerCode, "", dropLog) // its close frame waited behind its data
		return
	}
	s.rewatch(c)
}
