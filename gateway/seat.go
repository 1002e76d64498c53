package gateway

import "warren/gateway/framelog"

// seat is a client's place among the clients of a channel. All its seats are
// members, or, while anything is owed to it, all are late: it is the client
// whose socket is full, not one of its channels.
type seat struct {
	client   *client
	audience *audience // nil: not taken
	behind   *reader   // nil for a member
	index    int32     // in audience.members, or .late
	counted  bool      // in crowd.receiving
	gaps     uint32    // Gateway.gaps when it was taken
}

// reader is where a late seat is.
type reader struct {
	// What is past comes first, encoded from what the channel keeps, up to
	// pastEnd there; no more of it if pastEnd is 0.
	past    framelog.Cursor
	pastEnd int64

	cursor framelog.Cursor // in the audience's log
	until  int64           // position to reach before the close frame; if none, noLog
	beyond int64           // bytes that it keeps alive of logs, beyond histories; by the tick
	told   bool            // its client is told of a gap before cursor, and was written nothing behind it
}

// noLog is no position in a log.
const noLog = -1

// remains is the bytes of the past that were not sent yet.
func (r *reader) remains() int64 {
	if r.pastEnd == 0 {
		return 0
	}
	return r.pastEnd - r.past.Pos()
}

// seats are c's, to range over.
func (c *client) seats(yield func(*seat) bool) {
	if c.seat.audience != nil && !yield(&c.seat) {
		return
	}
	if c.json == nil {
		return
	}
	for _, x := range c.json.seats {
		if !yield(x) {
			return
		}
	}
}

// take gives x to c. It is neither a member yet, nor late.
func (x *seat) take(c *client, a *audience, p beginning) {
	x.client, x.audience, x.gaps = c, a, p.gaps
}

// seated says that c listens to something.
func (c *client) seated() bool {
	return c.seat.audience != nil || c.json != nil && len(c.json.seats) > 0
}

// writtenTo is the position up to which c was written all that its channels
// have; zero if it wasn't.
func (s *shard) writtenTo(c *client) ID {
	if c.out != nil || c.json != nil && len(c.json.waits) > 0 {
		return ID{}
	}
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	for x := range c.seats {
		if at := x.audience.place(int(x.index)); at.Pos() != x.audience.edition.log.End() {
			return ID{}
		}
	}
	return s.g.ids.position()
}

// fallBehind makes c late on all its channels, with a debt of nothing yet. It
// was written n bytes beyond its place on one of them.
func (s *shard) fallBehind(c *client, on *seat, n int) {
	d := &debt{windowAt: s.now, tookAt: s.now}
	for x := range c.seats {
		r := d.reader(x)
		r.cursor = x.audience.place(int(x.index))
		if x == on && n > 0 {
			r.cursor.Advance(n)
			d.begun = x
		}
		x.audience.part(x)
		x.audience.addLate(x)
	}
	if j := c.json; j != nil {
		d.private, j.private = j.private, nil
	}
	c.out = d
	// In this order: never in neither count.
	if c.seated() {
		s.stand(c, standing{late: true})
	}
	for x := range c.seats {
		s.receives(x, false)
	}
}

// reader gives x one.
func (d *debt) reader(x *seat) *reader {
	x.behind = new(reader)
	if x == &x.client.seat {
		x.behind = &d.first
	}
	x.behind.until = noLog
	return x.behind
}

// vacate takes x from its channel.
func (s *shard) vacate(x *seat) {
	a := x.audience
	if x.behind != nil {
		if d := x.client.out; d.begun == x {
			d.begun = nil
		}
		a.removeLate(x)
	} else {
		a.part(x)
	}
	s.receives(x, false)
	x.audience, x.behind = nil, nil
	if a.size() == 0 {
		s.g.detach(a)
	}
}

// letGo takes c out of its channels.
func (s *shard) letGo(c *client) {
	if c.out != nil {
		s.stand(c, standing{})
	}
	if c.seat.audience != nil {
		s.vacate(&c.seat)
	}
	if j := c.json; j != nil {
		for _, x := range j.seats {
			s.vacate(x)
		}
		j.seats = nil
	}
}
