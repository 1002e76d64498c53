package gateway

// charge counts n more bytes that c is about to keep against memory.inbound,
// and gives it its inbound. Over the bound, whoever holds the most of an
// incomplete message is closed; false says that this is c itself.
func (s *shard) charge(c *client, n int) bool {
	if c.in == nil {
		c.in = &inbound{index: len(s.partials)}
		s.partials = append(s.partials, c)
		n += inboundCost
	}
	c.in.charged += int64(n)
	s.g.inbound.Add(int64(n))
	for tries := 0; s.g.inbound.Load() > s.g.o.Memory.Inbound; tries++ {
		worst := c
		for _, p := range s.partials {
			if p.in.charged > worst.in.charged {
				worst = p
			}
		}
		s.g.count.inboundFull.Add(1)
		if worst == c || tries == evictionsAtOnce {
			return false
		}
		s.fail(worst, statusTryAgainLater, reasonMemory)
	}
	return true
}

// evictionsAtOnce bounds the work to make room for one message.
const evictionsAtOnce = 4

// reserve counts n bytes against memory.inbound, if they fit.
func (g *Gateway) reserve(n int64) bool {
	for {
		was := g.inbound.Load()
		if was+n > g.o.Memory.Inbound {
			return false
		}
		if g.inbound.CompareAndSwap(was, was+n) {
			return true
		}
	}
}

// inboundCost is what an inbound costs beside its message: itself and a header
// or control frame.
const inboundCost = 160 + maxHeadIn

// uncharge gives back n bytes that c keeps no longer.
func (s *shard) uncharge(c *client, n int) {
	c.in.charged -= int64(n)
	s.g.inbound.Add(-int64(n))
}

// release gives back c's inbound.
func (s *shard) release(c *client) {
	in := c.in
	if in == nil {
		return
	}
	c.in = nil
	s.g.inbound.Add(-in.charged)
	last := len(s.partials) - 1
	moved := s.partials[last]
	s.partials[in.index] = moved
	if moved.in != nil {
		moved.in.index = in.index
	}
	s.partials[last] = nil
	s.partials = s.partials[:last]
}
