package gateway

import (
	"warren/gateway/poll"
	"warren/gateway/request"
)

// awaitMillis is how long a handshake waits for a message that another node has
// delivered already. If it takes longer, this node is not a moment behind.
const awaitMillis = 2000

// waiter is a handshake that names a message which is still to come.
type waiter struct {
	offset uint64
	since  uint32 // shard.now
}

// future says that id may be of a message that this node hasn't been given yet,
// while the one the client comes from has.
func (g *Gateway) future(name []byte, id ID) bool {
	if id.IsZero() || !g.histories.keeps() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ids.global || id.Offset <= g.ids.last.Offset {
		return false
	}
	// Offsets may have begun anew: then it can be a known one.
	if ch := g.channels[string(name)]; ch != nil {
		if _, ok := ch.kept().Behind(id.Offset, id.Check); ok {
			return false
		}
	}
	return true
}

// await keeps a whole request until the message is here, and reads no more.
func (s *shard) await(c *client, b []byte, offset uint64) {
	if c.in == nil {
		if !s.charge(c, len(b)) {
			s.refuse(c, request.ErrFull)
			return
		}
		c.in.head = append(c.in.head, b...)
	}
	s.g.count.awaited.Add(1)
	if s.waiting == nil {
		s.waiting = map[*client]waiter{}
	}
	s.waiting[c] = waiter{offset, s.now}
	s.watch(c, 0)
}

func (s *shard) isWaiting(c *client) bool {
	_, ok := s.waiting[c]
	return ok
}

// visitWaiting goes on with handshakes whose message has come, or doesn't come
// in time.
func (s *shard) visitWaiting() {
	if len(s.waiting) == 0 {
		return
	}
	s.g.mu.Lock()
	last := s.g.ids.last.Offset
	s.g.mu.Unlock()
	for c, w := range s.waiting {
		late := int32(s.now-w.since) >= awaitMillis ||
			int32(s.now-c.since) >= millis(s.g.o.WebSocket.HandshakeTimeout)
		if last < w.offset && !late {
			continue
		}
		delete(s.waiting, c)
		if last < w.offset && s.g.ex.Status() != nil {
			// It would be called unknown, and is only not here yet.
			s.refuse(c, request.ErrBehind)
			continue
		}
		s.watch(c, poll.Read)
		s.request(c, c.in.head, request.End(c.in.head, 0), true)
	}
}

// reached says whether the exchange was linked at least once, if that is
// awaited.
func (g *Gateway) reached() bool {
	if !g.o.AwaitExchange || g.linked.Load() {
		return true
	}
	if g.ex.Status() != nil {
		return false
	}
	g.linked.Store(true)
	return true
}
