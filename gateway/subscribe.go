package gateway

import (
	"bytes"
	"slices"
	"strconv"

	"warren/gateway/jsonv1"
)

// subscription is one that waits for a message which other nodes have delivered
// already.
type subscription struct {
	channel string
	from    start
	ref     []byte
	since   uint32 // shard.now
}

// subscribe gives c a seat on a channel.
func (s *shard) subscribe(c *client, cmd *jsonv1.Command) *jsonv1.Error {
	j := c.json
	from := start{back: cmd.History}
	if cmd.Since != nil {
		var ok bool
		if from.since, ok = ParseID(cmd.Since); !ok {
			return &jsonv1.Error{Code: jsonv1.CodeBadID, Message: "since must be an id that a node has given, such as 1042-7f3a90c1", Ref: cmd.Ref}
		}
	}
	from.past = from.back > 0 || !from.since.IsZero()
	switch {
	case j.seatOn(cmd.Channel) >= 0 || j.waitsFor(cmd.Channel) >= 0:
		return &jsonv1.Error{Code: jsonv1.CodeAlreadySubscribed, Message: "already subscribed to this channel", Ref: cmd.Ref}
	case len(j.seats)+len(j.waits) >= s.g.o.Clients.MaxChannels:
		return &jsonv1.Error{
			Code:    jsonv1.CodeTooManyChannels,
			Message: "a client may listen to " + strconv.Itoa(s.g.o.Clients.MaxChannels) + " channels (clients.max_channels)", Ref: cmd.Ref,
		}
	case s.g.future(cmd.Channel, from.since):
		s.g.count.awaited.Add(1)
		j.waits = append(j.waits, subscription{string(cmd.Channel), from, bytes.Clone(cmd.Ref), s.now})
		if s.expecting == nil {
			s.expecting = map[*client]struct{}{}
		}
		s.expecting[c] = struct{}{}
		return nil
	}
	s.seat(c, cmd.Channel, from, cmd.Ref)
	return nil
}

// seat takes a seat on a channel for c, and tells it so.
func (s *shard) seat(c *client, name []byte, from start, ref []byte) {
	j := c.json
	a, at := s.g.attach(name, jsonFrames, s, from)
	if at.missed {
		s.g.count.missed.Add(1)
	}
	s.tell(c, s.say(func(b []byte) []byte {
		return jsonv1.AppendSubscribed(b, a.edition.channel.name, at.id.Offset, at.id.Check, at.missed, ref)
	}))
	if c.state != open { // it took none of all that it was told
		if a.size() == 0 {
			s.g.detach(a)
		}
		return
	}
	if c.out != nil && c.out.parked {
		s.setParked(c, false) // until it has been written this channel, too
	}
	x := new(seat)
	switch {
	case from.past:
		s.begin(c, x, a, at)
	case c.out != nil:
		x.take(c, a, at)
		c.out.reader(x).cursor = a.front()
		a.addLate(x)
	default:
		x.take(c, a, at)
		a.join(x)
		s.receives(x, a.active)
	}
	j.seats = append(j.seats, x)
	if c.out != nil {
		s.flush(c)
	}
}

// unsubscribe gives up c's seat on a channel, or its wait for one.
func (s *shard) unsubscribe(c *client, cmd *jsonv1.Command) *jsonv1.Error {
	j := c.json
	if i := j.waitsFor(cmd.Channel); i >= 0 {
		j.waits = slices.Delete(j.waits, i, i+1)
	} else if i := j.seatOn(cmd.Channel); i >= 0 {
		s.unseat(c, i)
	} else {
		return &jsonv1.Error{Code: jsonv1.CodeNotSubscribed, Message: "not subscribed to this channel", Ref: cmd.Ref}
	}
	s.tell(c, s.say(func(b []byte) []byte { return jsonv1.AppendUnsubscribed(b, string(cmd.Channel), cmd.Ref) }))
	if c.state == open && c.out != nil {
		s.flush(c)
	}
	return nil
}

func (s *shard) unseat(c *client, i int) {
	j := c.json
	x := j.seats[i]
	if d := c.out; d != nil {
		if d.parked {
			s.setParked(c, false)
		}
		if d.begun == x {
			d.finishFrame()
		}
	}
	s.vacate(x)
	j.seats = slices.Delete(j.seats, i, i+1)
	if c.out != nil && !c.seated() {
		s.stand(c, standing{stalled: c.out.stands.stalled}) // nothing is too fast for it
	}
}

// visitExpecting goes on with subscriptions whose message has come, or doesn't
// come in time.
func (s *shard) visitExpecting() {
	if len(s.expecting) == 0 {
		return
	}
	s.g.mu.Lock()
	last := s.g.ids.last.Offset
	s.g.mu.Unlock()
	linked := s.g.ex.Status() == nil
	for c := range s.expecting {
		j := c.json
		for i := 0; i < len(j.waits) && c.state == open; {
			w := j.waits[i]
			if last < w.from.since.Offset && (!linked || int32(s.now-w.since) < awaitMillis) {
				i++
				continue
			}
			j.waits = slices.Delete(j.waits, i, i+1)
			s.seat(c, []byte(w.channel), w.from, w.ref)
		}
		if len(j.waits) == 0 {
			delete(s.expecting, c)
		}
	}
}
