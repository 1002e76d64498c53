package gateway

import (
	"github.com/gobwas/ws"

	"warren/gateway/request"
)

const (
	// paceMillis is how often a shard that is emptied closes some clients.
	paceMillis = 5

	// paceBehind is how many milliseconds' clients it closes at once, at most.
	paceBehind = 20
)

// pace is how a shard is emptied.
type pace struct {
	on     bool
	began  uint32  // shard.now
	period float64 // milliseconds
	at     float64 // milliseconds since it began: when the last client was due
	slot   int     // the next to look at
}

// empty begins to close the clients, evenly until then.
func (s *shard) empty(until uint32) {
	s.pace = pace{on: true, began: s.now, period: float64(int32(until - s.now))}
	if s.g.drain.final.Load() {
		return // the port is left: who waits is still taken, as in lets
	}
	for c := range s.waiting {
		delete(s.waiting, c)
		s.refuse(c, request.ErrDraining)
	}
}

// next is whether one more of so many clients is due by now. What is left of the
// period is spread over those that are left: newcomers, and clients that leave
// by themselves, change the rate, and leave it even. So does a shard that was kept
// from it for a while: it doesn't make up for that at once.
func (p *pace) next(clients int, now float64) bool {
	if now >= p.period {
		return true
	}
	due := p.at + (p.period-p.at)/float64(clients)
	if due > now {
		return false
	}
	p.at = max(due, now-paceBehind)
	return true
}

// closeSome closes as many clients as are due.
func (s *shard) closeSome() {
	p := &s.pace
	if !p.on || s.stopping {
		return
	}
	now := float64(s.now - p.began)
	for s.clients > 0 && p.next(s.clients, now) {
		s.shut(s.nextOpen(), statusServiceRestart, s.g.reason(), writeLog)
	}
}

// nextOpen is the next open client, of whom there are some, in turn.
func (s *shard) nextOpen() *client {
	for {
		s.pace.slot++
		if s.pace.slot >= len(s.slots) {
			s.pace.slot = 0
		}
		if c := s.slots[s.pace.slot].c; c != nil && c.state == open {
			return c
		}
	}
}

// reason is why clients of a drain are closed.
func (g *Gateway) reason() string {
	if g.o.Drain.Period == 0 {
		return reasonRestart
	}
	return reasonMove
}

// stop closes every client that is left, each with what its log still has for it.
func (s *shard) stop(now bool) {
	s.stopping = true
	s.leavePort()
	code, reason := statusServiceRestart, reasonRestart // all at once: they are to spread themselves
	if now {
		code, reason = ws.StatusGoingAway, reasonStop
	}
	for i := range s.slots {
		c := s.slots[i].c
		switch {
		case c == nil:
		case c.state == reading && s.isWaiting(c):
			delete(s.waiting, c)
			s.refuse(c, request.ErrStopping)
		case c.state == reading:
			s.drop(c, endRefused)
		case c.state == open:
			s.shut(c, code, reason, writeLog)
		}
	}
}
