package gateway

import (
	"net/netip"
	"sync"

	"golang.org/x/time/rate"

	"warren/gateway/request"
)

// newRate is how many clients may begin a second, and at once; nil for any.
func newRate(perSecond int) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), perSecond)
}

// countIn counts c as a client, or says why it can't be one.
func (s *shard) countIn(c *client) *request.Error {
	g := s.g
	switch {
	case g.clients.Add(1) > g.maxClients:
		g.clients.Add(-1)
		return request.ErrFull
	case !g.addresses.enter(c.from.Addr()):
		g.clients.Add(-1)
		g.count.perAddress.Add(1)
		return request.ErrAddress
	case g.rate != nil && !g.rate.Allow(): // last: who is refused takes nobody's turn
		g.clients.Add(-1)
		g.addresses.leave(c.from.Addr())
		g.count.crowded.Add(1)
		return request.Crowded()
	}
	s.clients++
	return nil
}

// countOut is for whom countIn has counted.
func (s *shard) countOut(c *client) {
	s.clients--
	s.g.addresses.leave(c.from.Addr())
	s.g.clients.Add(-1)
	s.g.settle()
}

// addresses counts clients by where they come from, if they are bounded.
type addresses struct {
	most int // static; 0: any number

	mu      sync.Mutex
	clients map[netip.Addr]int // guarded by mu; never 0
}

// network is what counts as one address: of IPv6 a /64, which is the least that
// a customer gets (RFC 6177, 2).
func network(a netip.Addr) netip.Addr {
	if a.Is6() {
		p, _ := a.WithZone("").Prefix(64) // no error: 64 fits
		return p.Addr()
	}
	return a
}

// enter counts a client of a; false if there are as many as there may be.
func (l *addresses) enter(a netip.Addr) bool {
	if l.most == 0 {
		return true
	}
	a = network(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[a] >= l.most {
		return false
	}
	if l.clients == nil {
		l.clients = map[netip.Addr]int{}
	}
	l.clients[a]++
	return true
}

func (l *addresses) leave(a netip.Addr) {
	if l.most == 0 {
		return
	}
	a = network(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[a]--; l.clients[a] <= 0 {
		delete(l.clients, a)
	}
}
