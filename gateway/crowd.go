package gateway

import (
	"sync"
	"sync/atomic"
)

// crowd tells slow clients from a source that is too fast. A client that can't
// keep up while most others can is slow, and is closed or skipped. If most of
// those that read can't keep up, or a shard isn't through with offering, then
// the source is too fast: it is held back instead.
//
// What a client's kernel buffers hides how fast it reads, so with a source that
// never pauses some lag by a lot while the others don't lag yet. For these, too,
// the source is held back, but only within a budget of time: one slow client
// must not slow the others for long.
type crowd struct {
	receiving atomic.Int64 // caught-up clients of channels with deliveries of late
	late      atomic.Int64 // clients whose socket was full, but who read
	pressed   atomic.Int64 // of these, who lag by a quarter of max_lag
	over      atomic.Int64 // of these, who lag by half of it

	holds atomic.Uint64 // how often the source was held back

	mu      sync.Mutex
	reasons int    // audiences pressing, and 1 for most or some
	most    bool   // most are pressed
	some    bool   // some are over, and the budget allows to wait for them
	budget  int64  // milliseconds
	judged  uint32 // Gateway.clock at which budget was reckoned
	wait    atomic.Pointer[chan struct{}]
}

const (
	// budgetMillis is how long the source may be held back for a minority, at
	// once; it refills in ten times that.
	budgetMillis = 2000
	budgetRefill = 10
)

// Hold implements Receiver.
func (c *crowd) Hold() <-chan struct{} {
	if w := c.wait.Load(); w != nil {
		return *w
	}
	return nil
}

func (c *crowd) press() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pressLocked()
}

func (c *crowd) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked()
}

func (c *crowd) pressLocked() {
	c.reasons++
	if c.reasons == 1 {
		c.holds.Add(1)
		w := make(chan struct{})
		c.wait.Store(&w)
	}
}

func (c *crowd) releaseLocked() {
	c.reasons--
	if c.reasons == 0 {
		close(*c.wait.Swap(nil))
	}
}

// standing is how a late client is counted. One that takes next to nothing is
// stalled, and in no count.
type standing struct{ late, pressed, over, stalled bool }

// change counts a client differently.
func (c *crowd) change(was, is standing, now uint32) {
	move := func(n *atomic.Int64, was, is bool) {
		switch {
		case is && !was:
			n.Add(1)
		case was && !is:
			n.Add(-1)
		}
	}
	move(&c.late, was.late, is.late)
	move(&c.pressed, was.pressed, is.pressed)
	move(&c.over, was.over, is.over)
	c.judge(now)
}

// judge compares the counts, after one of them or the time has changed.
func (c *crowd) judge(now uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reckonLocked(now)
	was := c.most || c.some
	pressed, late := c.pressed.Load(), c.late.Load()
	reading := c.receiving.Load() + late
	over := c.over.Load() > 0
	if c.most {
		c.most = pressed*8 > reading || over && late*4 > reading // not on and off all the time
	} else {
		c.most = pressed*2 > reading || over && late*2 > reading
	}
	if c.some {
		c.some = over && c.budget > 0
	} else {
		c.some = over && c.budget > budgetMillis/2
	}
	switch is := c.most || c.some; {
	case is && !was:
		c.pressLocked()
	case was && !is:
		c.releaseLocked()
	}
}

// reckonLocked brings the budget up to date.
func (c *crowd) reckonLocked(now uint32) {
	passed := int64(int32(now - c.judged))
	switch {
	case passed <= 0 && passed > -60_000: // shards' clocks differ
		return
	case passed <= 0: // nobody has asked for weeks
		c.judged = now
		return
	case c.some && !c.most:
		c.budget -= passed
	case passed < budgetRefill:
		return // keep what is too little to count
	default:
		c.budget = min(budgetMillis, c.budget+passed/budgetRefill)
	}
	c.judged = now
}
