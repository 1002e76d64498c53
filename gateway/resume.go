package gateway

import (
	"warren/gateway/framelog"
	"warren/gateway/request"
)

// catchUpBytes bounds what those who resume are written, all together, in a
// millisecond of a shard: a fraction of what it could, so that others get their
// messages, and the processor, in between.
const catchUpBytes = 64 << 10

// start is where a client asks to begin; the zero start is with what comes next.
type start struct {
	past  bool // it asks for what is past
	back  int  // so many messages back at most; -1: it doesn't say
	since ID   // behind this message; zero: it doesn't say
}

// startOf is where a query asks to begin.
func startOf(q request.Query) (from start, refusal *request.Error) {
	from = start{back: q.History}
	if q.Since != nil {
		var ok bool
		if from.since, ok = ParseID(q.Since); !ok {
			return start{}, request.ErrSince
		}
	}
	from.past = from.back > 0 || !from.since.IsZero()
	return from, nil
}

// beginning is where a client begins.
type beginning struct {
	cursor framelog.Cursor // in its audience's log, if it asked for what is past

	// What comes before that, in what the channel keeps; none if pastEnd is 0.
	past    framelog.Cursor
	pastEnd int64

	missed bool   // between the message it knows and this place are others, or may be
	gaps   uint32 // Gateway.gaps by then
	id     ID     // of the message before it, in any channel; zero if that is unknown
}

// placeLocked finds where a client of one encoding begins.
func (g *Gateway) placeLocked(e *edition, from start) beginning {
	p := beginning{gaps: g.gaps, id: g.ids.position()}
	if !from.past {
		return p
	}
	p.cursor = e.log.Cursor()
	if !g.histories.keeps() {
		p.missed = !from.since.IsZero()
		return p
	}
	var at framelog.Cursor
	at, p.id, p.missed = g.findLocked(e.channel, from)
	if e.enc == rawFrames {
		p.cursor = at
	} else if kept := e.channel.kept(); at.Pos() < kept.End() {
		p.past, p.pastEnd = at, kept.End()
	}
	return p
}

// findLocked is the place in what ch keeps where a client asks to begin, and the
// id before it, as far as that is known. missed says that it misses messages:
// the id it gives is unknown or too old, or further back than it wants to go,
// or messages were lost since.
func (g *Gateway) findLocked(ch *channel, from start) (at framelog.Cursor, id ID, missed bool) {
	log := ch.kept()
	first := log.Oldest(g.clock())
	if from.back >= 0 {
		first = max(first, log.Count()-int64(from.back))
	}
	if from.since.IsZero() {
		return log.At(first), g.beforeLocked(ch, first), false
	}
	behind, named := log.Behind(from.since.Offset, from.since.Check)
	ok := named
	if !ok && g.ids.knows(from.since) {
		behind, ok = log.After(from.since.Offset)
		ok = ok && (ch.born < from.since.Offset || g.histories.unkept <= from.since.Offset)
	}
	if !ok || behind < first {
		return log.At(first), g.beforeLocked(ch, first), true
	}
	at = log.At(behind)
	if named {
		missed = at.Pos() <= ch.editions[rawFrames].gapAt.Load()
	} else {
		missed = from.since.Offset < max(g.histories.regained, ch.lost)
	}
	return at, from.since, missed
}

// beforeLocked is the id before a message that ch keeps, zero if that is
// unknown.
func (g *Gateway) beforeLocked(ch *channel, number int64) ID {
	if offset, check, ok := ch.kept().Before(number); ok {
		return ID{offset, check}
	}
	if number < ch.kept().Count() {
		if first, _, ok := ch.kept().Before(number + 1); ok && first <= ch.born {
			return ID{} // no offset is in front of the very first
		}
	}
	return g.ids.at(ch.born)
}

// begin makes a client late that asked for what is past: it joins the others
// when it has caught up.
func (s *shard) begin(c *client, x *seat, a *audience, p beginning) {
	if c.out == nil {
		s.fallBehind(c, nil, 0)
	}
	d := c.out
	x.take(c, a, p)
	r := d.reader(x)
	r.cursor, r.past, r.pastEnd = p.cursor, p.past, p.pastEnd
	s.g.count.resumed.Add(1)
	d.resuming, d.windowAt, d.tookAt = true, s.now, s.now
	d.allowance += r.remains() + a.edition.log.End() - r.cursor.Pos()
	a.addLate(x)
}

// park makes a client wait that is ahead of a channel's members: it knows, or
// was told to skip, or has been written from what is kept, what they haven't
// been written yet.
func (s *shard) park(c *client) {
	s.setParked(c, true)
	s.rewatch(c)
}

func (s *shard) setParked(c *client, is bool) {
	c.out.parked = is
	for x := range c.seats {
		if is {
			x.audience.parked++
		} else {
			x.audience.parked--
		}
	}
}

// unpark looks after those that wait, for a's members or for another channel's.
func (s *shard) unpark(a *audience) {
	front := a.front()
	for i := len(a.late) - 1; i >= 0 && a.parked > 0; i-- { // from the end: the client may leave
		if x := a.late[i]; x.client.out.parked && x.behind.cursor.Pos() <= front.Pos() {
			s.flush(x.client)
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
