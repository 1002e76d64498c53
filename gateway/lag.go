package gateway

const (
	// windowMillis is how long a late client may take next to nothing before
	// it counts as not reading.
	windowMillis = 2000

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

// recount keeps crowd.receiving true after a's size or activity changed.
func (s *shard) recount(a *audience) {
	n := 0
	if a.active {
		n = a.size()
	}
	s.g.crowd.receiving.Add(int64(n - a.counted))
	a.counted = n
}

// checkLags looks for late clients whose lag has passed a bound.
func (s *shard) checkLags(a *audience) {
	a.checked = a.cursor.Pos()
	end := a.channel.log.End()
	for i := len(a.late) - 1; i >= 0; i-- { // from the end: the client may leave
		if i >= len(a.late) {
			continue
		}
		c := a.late[i]
		d := c.out
		d.lag = end - d.cursor.Pos() + int64(len(d.tail))
		switch {
		case c.state != open:
		case d.lag > int64(s.g.o.Clients.MaxLag):
			s.slow(c)
		case d.lag > s.g.pressLag && !d.stalled && !d.pressed:
			d.pressed = true
			s.g.crowd.pressed.Add(1)
			s.g.crowd.judge()
		}
	}
}

// slow applies the policy to a client whose lag has passed clients.max_lag.
func (s *shard) slow(c *client) {
	if s.g.o.Clients.Slow == SlowSkip {
		s.skip(c)
		return
	}
	s.g.count.evicted.Add(1)
	s.shut(c, statusTryAgainLater, "slow consumer", dropLog)
}

// skip moves a late client to the front, after the frame it has begun.
func (s *shard) skip(c *client) {
	d := c.out
	if rest := d.cursor.Rest(); len(rest) > 0 {
		d.tail = append([]byte(nil), rest...)
		d.cursor.Advance(len(rest))
	}
	front := c.audience.front()
	s.g.count.skips.Add(1)
	s.g.count.skipped.Add(uint64(d.cursor.Frames(front.Pos())))
	d.cursor = front
	s.ease(c)
}

// eased takes c from the pressed once it has caught up most of the way.
func (s *shard) eased(c *client) {
	d := c.out
	if d.pressed && c.audience != nil && c.audience.channel.log.End()-d.cursor.Pos() < s.g.pressLag/2 {
		d.pressed = false
		s.g.crowd.pressed.Add(-1)
		s.g.crowd.judge()
	}
}

// ease takes c from all counts of late clients.
func (s *shard) ease(c *client) {
	d := c.out
	if d == nil {
		return
	}
	if d.stalled {
		d.stalled = false
		s.g.crowd.stalled.Add(-1)
	}
	if d.pressed {
		d.pressed = false
		s.g.crowd.pressed.Add(-1)
	}
	s.g.crowd.judge()
}

// progress judges, every window, whether late clients are reading.
func (s *shard) progress(c *client) {
	d := c.out
	if int32(s.now-d.windowAt) < windowMillis {
		return
	}
	stalled := d.took < int64(s.g.o.Clients.MaxLag)/64
	d.windowAt, d.took = s.now, 0
	if stalled == d.stalled {
		return
	}
	d.stalled = stalled
	if !stalled {
		s.g.crowd.stalled.Add(-1)
		return
	}
	s.g.crowd.stalled.Add(1)
	if d.pressed {
		d.pressed = false
		s.g.crowd.pressed.Add(-1)
	}
	s.g.crowd.judge()
}
