package gateway

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"warren/gateway/poll"
)

// Once a shard has accepted acceptMost connections, clients are served again; and
// as long as some are delivered to, it rests for acceptMillis first. So a storm of
// newcomers leaves them, and those who write to them, time on the processors.
// Newcomers wait in the listener's backlog, which is emptied at 10,000 a second a
// shard.
const (
	acceptMost   = 10
	acceptMillis = 1
)

// accept begins to watch the listening socket.
func (s *shard) accept() error {
	s.resting = false
	if s.left || s.accepting {
		return nil
	}
	err := s.poller.AddListener(s.g.lfd, listenerToken)
	s.accepting = err == nil
	return err
}

// newcomers takes new connections.
func (s *shard) newcomers() {
	if s.acceptBurst() && s.g.crowd.receiving.Load() > 0 {
		s.rest()
		s.resting, s.restUntil = true, s.now+acceptMillis
	}
}

// acceptAgain ends a rest that is over.
func (s *shard) acceptAgain() {
	if !s.resting || int32(s.now-s.restUntil) < 0 {
		return
	}
	if err := s.accept(); err != nil {
		s.g.log.Error("cannot accept connections", "err", err)
	}
}

// rest stops to watch it, until the next tick or for good.
func (s *shard) rest() {
	if s.accepting {
		s.accepting = false
		_ = s.poller.Remove(s.g.lfd)
	}
}

// leavePort takes what has connected by now, and no more connections.
func (s *shard) leavePort() {
	if s.left {
		return
	}
	for more := !s.stopping; more && s.accepting; {
		more = s.acceptBurst()
	}
	s.left = true
	s.rest()
	if s.g.left.Add(1) == int64(len(s.g.shards)) && !s.g.adopted {
		// Refuse new connections, rather than let them wait for the end.
		_ = unix.Shutdown(s.g.lfd, unix.SHUT_RDWR)
	}
	s.g.settle()
}

// acceptBurst takes new connections and gives each to the shard that has the
// fewest. (Left to the kernel, one shard may get all of them.) It is true if more
// may be waiting.
func (s *shard) acceptBurst() bool {
	for range acceptMost {
		if s.g.conns.Load() >= s.g.maxConns {
			s.g.count.acceptPauses.Add(1)
			s.rest()
			return false
		}
		fd, from, err := acceptConn(s.g.lfd)
		switch {
		case err == nil:
			s.g.count.accepted.Add(1)
			s.g.conns.Add(1)
			to := s.g.leastBusy()
			to.conns.Add(1) // now, so that a burst spreads
			if to == s {
				s.adopt(fd, from)
			} else {
				to.post(note{kind: noteAdopt, fd: fd, from: from})
			}
		case errors.Is(err, unix.EAGAIN):
			return false
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
			// That connection is gone, others may wait.
			s.g.count.acceptErrors.Add(1)
		default:
			// Out of descriptors (EMFILE, ENFILE) or memory, as a rule. The
			// poller is level-triggered: asking again at once would spin.
			s.g.count.acceptPauses.Add(1)
			s.g.log.Debug("cannot accept connections: resting", "err", err)
			s.rest()
			return false
		}
	}
	return true
}

// leastBusy is the shard with the fewest connections.
func (g *Gateway) leastBusy() *shard {
	least := g.shards[0]
	for _, s := range g.shards[1:] {
		if s.conns.Load() < least.conns.Load() {
			least = s
		}
	}
	return least
}

// adopt makes a client of a new connection, which is counted already.
func (s *shard) adopt(fd int, from netip.AddrPort) {
	if s.stopping {
		_ = unix.Close(fd)
		s.countOff()
		return
	}
	c := &client{
		fd:       int32(fd),
		from:     from,
		since:    s.now,
		heard:    s.now,
		watching: poll.Read,
	}
	s.judge(c)
	s.add(c)
	c.id = newConnID(s.number, c.slot, s.slots[c.slot].gen)
	if err := s.poller.Add(fd, s.token(c), poll.Read); err != nil {
		s.g.log.Error("cannot watch a new connection", "err", err)
		s.drop(c, endReset)
	}
}
