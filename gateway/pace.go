package gateway

import (
	"github.com/gobwas/ws"

	"warren/gateway/request"
)

// paceMillis is how often a shard that is emptied closes some clients.
const paceMillis = 5

// pace is how a shard is emptied.
type pace struct {
	on    bool
	until uint32  // shard.now: when the last client is to be closed
	at    uint32  // shard.now: when it was last looked at
	due   float64 // clients, less than one between looks
	slot  int     // the next to look at
}

// empty begins to close the clients, evenly until then.
func (s *shard) empty(until uint32) {
	s.pace = pace{on: true, until: until, at: s.now}
	for c := range s.waiting {
		delete(s.waiting, c)
		s.refuse(c, request.ErrDraining)
	}
}

// closeSome closes as many clients as are due. What is due is told from those
// that are left: newcomers, and clients that leave by themselves, change the
// rate, and leave it even.
func (s *shard) closeSome() {
	p := &s.pace
	if !p.on || s.clients == 0 || s.stopping {
		p.at = s.now
		return
	}
	left, passed := int32(p.until-p.at), int32(s.now-p.at)
	switch {
	case left <= 0 || passed >= left:
		p.due = float64(s.clients)
	case passed < paceMillis:
		return
	default:
		p.due += float64(s.clients) * float64(passed) / float64(left)
	}
	p.at = s.now
	reason := reasonMove
	if s.g.o.Drain.Period == 0 {
		reason = reasonRestart
	}
	for range s.slots {
		if p.due < 1 || s.clients == 0 {
			break
		}
		if p.slot >= len(s.slots) {
			p.slot = 0
		}
		if c := s.slots[p.slot].c; c != nil && c.state == open {
			p.due--
			s.shut(c, statusServiceRestart, reason, writeLog)
		}
		p.slot++
	}
}

// stop closes every client that is left, each with what its log still has for it.
func (s *shard) stop(now bool) {
	s.stopping = true
	s.leavePort()
	code, reason := statusServiceRestart, reasonRestart
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
