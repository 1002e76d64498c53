package gateway

import (
	"sync"
	"sync/atomic"
)

// crowd tells slow clients from a source that is too fast. A client that can't
// keep up while most others can is slow, and is closed or skipped. If most of
// those that read can't keep up, or a shard isn't through with offering, then
// the source is too fast: it is held back instead.
type crowd struct {
	receiving atomic.Int64 // clients of channels that had deliveries of late
	stalled   atomic.Int64 // of these, who took next to nothing for a while
	pressed   atomic.Int64 // of these, who lag and are reading

	holds atomic.Uint64 // how often the source was held back

	mu      sync.Mutex
	reasons int  // audiences pressing, and 1 for the majority
	most    bool // most are pressed
	wait    atomic.Pointer[chan struct{}]
}

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

// judge compares the counts, after one of them has changed.
func (c *crowd) judge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	pressed, reading := c.pressed.Load(), c.receiving.Load()-c.stalled.Load()
	switch {
	case !c.most && pressed*2 > reading:
		c.most = true
		c.pressLocked()
	case c.most && pressed*8 <= reading:
		// Most of the way back, so that it isn't on and off all the time.
		c.most = false
		c.releaseLocked()
	}
}
