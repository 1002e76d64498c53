package gateway

import "warren/gateway/framelog"

const (
	// windowMillis is how long a late client may take next to nothing before
	// it counts as not reading. A receiver with a large buffer opens its window
	// in large steps, so this is seconds.
	windowMillis = 5000

	// pauseMillis is how long it may take nothing at all before the source is
	// no longer held back for it alone.
	pauseMillis = 500

	// activeMillis is how long after a delivery a channel's clients count as
	// receiving.
	activeMillis = 10_000
)

// activate notes that something is delivered to a's clients.
func (s *shard) activate(a *audience) {
	a.lastData = s.now
	if !a.active {
		a.active = true
		s.recount(a)
	}
}

// recount keeps crowd.receiving true after a's activity changed.
func (s *shard) recount(a *audience) {
	for _, x := range a.members {
		s.receives(x, a.active)
	}
}

// receives counts x, a member, as one of an active channel, or no longer. A
// client counts once, however many of its channels are active.
func (s *shard) receives(x *seat, is bool) {
	if x.counted == is {
		return
	}
	x.counted = is
	n := int64(-1)
	if is {
		n = 1
	}
	if j := x.client.json; j != nil {
		if j.active += int(n); j.active > 1 || is != (j.active == 1) {
			return // by another channel
		}
	}
	s.g.crowd.receiving.Add(n)
}

// checkLags looks for late clients whose lag has passed a bound.
func (s *shard) checkLags(a *audience) {
	a.checked = a.cursor.Pos()
	for i := len(a.late) - 1; i >= 0; i-- { // from the end: the client may leave
		s.checkLag(a.late[i].client)
	}
}

func (s *shard) checkLag(c *client) {
	s.measure(c)
	d := c.out
	if c.state == open && d.lag > int64(s.g.o.Clients.MaxLag)+d.allowance && !d.starved && !d.parked {
		s.slow(c)
	}
}

// measure finds c's lag, and how it stands. The bounds for easing are lower, so
// that it isn't on and off all the time. Who resumes is not counted for what it
// asked for, only for what it has fallen back since it came closest.
func (s *shard) measure(c *client) {
	d := c.out
	d.lag = int64(len(d.tail) + len(d.private))
	for x := range c.seats {
		d.lag += x.behind.remains() + x.audience.edition.log.End() - x.behind.cursor.Pos()
	}
	d.allowance = min(d.allowance, d.lag)
	if d.stands.stalled {
		return
	}
	is, lag := d.stands, d.lag-d.allowance
	is.pressed = lag > s.g.pressLag || is.pressed && lag > s.g.pressLag/2
	is.over = lag > 2*s.g.pressLag || is.over && lag > s.g.pressLag
	is.late = !d.resuming || is.pressed
	is.over = is.over && int32(s.now-d.tookAt) < pauseMillis
	s.stand(c, is)
}

// stand changes how c is counted among the late.
func (s *shard) stand(c *client, is standing) {
	if c.out.stands != is {
		s.g.crowd.change(c.out.stands, is, s.now)
		c.out.stands = is
	}
}

// slow applies the policy to a client whose lag has passed clients.max_lag.
func (s *shard) slow(c *client) {
	if s.g.o.Clients.Slow == SlowSkip {
		s.skip(c)
		return
	}
	s.g.count.evicted.Add(1)
	s.shut(c, statusTryAgainLater, reasonSlow, dropLog)
}

// skip moves a late client to the front, after the frame it has begun.
func (s *shard) skip(c *client) {
	d := c.out
	d.resuming, d.allowance = false, 0
	d.finishFrame()
	s.g.count.skips.Add(1)
	d.lag = int64(len(d.tail) + len(d.private))
	for x := range c.seats {
		s.skipOn(x)
		d.lag += x.audience.edition.log.End() - x.behind.cursor.Pos()
	}
	s.stand(c, standing{late: !d.stands.stalled, stalled: d.stands.stalled})
}

// skipOn moves a late seat to the front of its channel.
func (s *shard) skipOn(x *seat) {
	r, front := x.behind, x.audience.front()
	if r.cursor.Pos() >= front.Pos() && r.remains() == 0 {
		return
	}
	missed := r.cursor.Frames(front.Pos())
	if r.remains() > 0 {
		missed += r.past.Frames(r.pastEnd)
	}
	s.g.count.skipped.Add(uint64(missed))
	if e := x.audience.edition; e.enc != rawFrames && missed > 0 && !r.told {
		d := x.client.out
		d.private = e.appendGap(d.private, ID{}, ID{})
		r.told = true
	}
	r.past, r.pastEnd = framelog.Cursor{}, 0
	if r.cursor.Pos() < front.Pos() {
		r.cursor = front
	}
}

// finishFrame copies the rest of a frame that was begun, so that its log may be
// let go of.
func (d *debt) finishFrame() {
	if d.begun == nil {
		return
	}
	r := d.begun.behind
	if rest := r.cursor.Rest(); len(rest) > 0 {
		d.tail = append([]byte(nil), rest...)
		r.cursor.Advance(len(rest))
	}
	d.begun = nil
}

// progress judges whether a late client is reading: not, once it took next to
// nothing for a whole window; again, as soon as it took more.
func (s *shard) progress(c *client) {
	d := c.out
	reads := d.took >= int64(s.g.o.Clients.MaxLag)/8
	over := int32(s.now-d.windowAt) >= windowMillis
	if d.resuming {
		reads = reads || d.rationed // it was not let take more
		if over && !reads {
			d.resuming, d.allowance = false, 0 // slow, if it lags by as much as others may
		}
	}
	if d.stands.stalled == reads && (reads || over) {
		s.stand(c, standing{late: reads, stalled: !reads})
	}
	if over {
		d.windowAt, d.took, d.rationed = s.now, 0, d.starved
	}
}
