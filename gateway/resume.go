package gateway

import (
	"warren/gateway/framelog"
	"warren/gateway/request"
)

// catchUpBytes bounds what those who resume are written, all together, in a
// millisecond of a shard: a fraction of what it could, so that others get their
// messages, and the processor, in between.
const catchUpBytes = 128 << 10

// start is where a client asks to begin; the zero start is with what comes next.
type start struct {
	past  bool // it asks for what is past
	back  int  // so many messages back at most; -1: it doesn't say
	since ID   // behind this message; zero: it doesn't say
}

// startOf reads a request's query.
func startOf(query []byte) (start, *request.Error) {
	q, refusal := request.ParseQuery(query)
	if refusal != nil {
		return start{}, refusal
	}
	from := start{back: q.History}
	if q.Since != nil {
		var ok bool
		if from.since, ok = ParseID(q.Since); !ok {
			return start{}, request.ErrSince
		}
	}
	from.past = from.back > 0 || !from.since.IsZero()
	return from, nil
}

// place is where a client begins.
type place struct {
	cursor framelog.Cursor // if it asked for what is past
	missed bool            // between the message it knows and this place are others, or may be
	gaps   uint32          // Gateway.gaps by then
}

// placeLocked finds where a client begins. It misses messages if the id it
// knows is unknown or too old, or further back than it wants to go, or if
// messages were lost since.
func (g *Gateway) placeLocked(ch *channel, from start) place {
	known := !from.since.IsZero()
	switch {
	case !from.past:
		return place{gaps: g.gaps}
	case !g.histories.keeps():
		return place{ch.log.Cursor(), known, g.gaps}
	}
	first := ch.log.Oldest(g.clock())
	if from.back >= 0 {
		first = max(first, ch.log.Count()-int64(from.back))
	}
	if !known {
		return place{ch.log.At(first), false, g.gaps}
	}
	behind, ok := ch.log.Behind(from.since.Offset, from.since.Check)
	if !ok || behind < first {
		return place{ch.log.At(first), true, g.gaps}
	}
	at := ch.log.At(behind)
	return place{at, at.Pos() <= ch.gapAt.Load(), g.gaps}
}

// begin gives a client that asked for what is past its answer, and makes it a
// late one: it joins the others when it has caught up.
func (s *shard) begin(c *client, at framelog.Cursor, answer []byte) {
	a := c.audience
	s.g.count.resumed.Add(1)
	c.out = &debt{
		tail:      append([]byte(nil), answer...),
		until:     noLog,
		cursor:    at,
		resuming:  true,
		allowance: a.channel.log.End() - at.Pos(),
		windowAt:  s.now,
		tookAt:    s.now,
	}
	a.addLate(c)
	s.flush(c)
}

// park makes a resumed client wait that is ahead of the members: it knows, or
// was told to skip, what they haven't been written yet.
func (s *shard) park(c *client) {
	c.out.parked = true
	c.audience.parked++
	s.rewatch(c)
}

// unpark looks after those that were ahead of a's members.
func (s *shard) unpark(a *audience) {
	front := a.front()
	for i := len(a.late) - 1; i >= 0 && a.parked > 0; i-- { // from the end: the client may leave
		if c := a.late[i]; c.out.parked && c.out.cursor.Pos() <= front.Pos() {
			s.flush(c)
		}
	}
}

// starve makes a resuming client wait for its turn.
func (s *shard) starve(c *client) {
	if !c.out.starved {
		c.out.starved, c.out.rationed = true, true
		s.turns = append(s.turns, c)
	}
}

// catchUpSome gives those who wait for it their turn, first in, first out, as
// many as a sweep makes writes.
func (s *shard) catchUpSome() {
	if s.catchUpAt != s.now {
		// As much as others get, if they get more: else who resumes beside a
		// fast source would fall ever further back.
		s.catchUpAt, s.catchUp, s.swept = s.now, max(catchUpBytes, s.swept), 0
	}
	for n := 0; n < sweepWrites && s.catchUp > 0 && len(s.turns) > 0; n++ {
		c := s.turns[0]
		s.turns[0] = nil
		if s.turns = s.turns[1:]; len(s.turns) == 0 {
			s.turns = nil
		}
		if c.state != gone && c.out != nil && c.out.starved {
			c.out.starved = false
			s.flush(c)
		}
	}
}
