package gateway

import (
	"errors"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"warren/gateway/frame"
)

// sweep writes what is new to the members of the audiences at work, at most so
// many times; what is left stays for the next call.
func (s *shard) sweep(writes int) {
	for writes > 0 && !s.work.empty() {
		a := s.work.first()
		a.dirty.Store(false) // before the end of the log is read: see Deliver
		writes = s.sweepOne(a, writes)
		if a.chunk != nil {
			return // members are left
		}
		s.work.pop()
		if c := a.cursor; len(c.Chunk(1)) > 0 {
			s.work.push(a) // behind the others
		}
	}
}

// sweepOne writes one chunk to all members, or to as many as writes allows.
func (s *shard) sweepOne(a *audience, writes int) (left int) {
	if a.chunk == nil {
		a.swept = 0
		a.chunk = a.cursor.Chunk(s.g.chunk)
		if a.chunk == nil {
			s.offered(a)
			return writes
		}
		s.activate(a)
	}
	for a.swept < len(a.members) {
		if writes == 0 {
			return 0
		}
		writes--
		c := a.members[a.swept]
		n, err := unix.Write(c.sock(), a.chunk)
		if n == len(a.chunk) {
			a.swept++
			continue
		}
		if err != nil && !again(err) {
			s.drop(c, endReset)
			continue
		}
		s.fallBehind(c, max(n, 0))
		s.rewatch(c)
	}
	s.swept += len(a.chunk) * len(a.members)
	a.cursor.Advance(len(a.chunk))
	a.chunk, a.swept = nil, 0
	s.offered(a)
	if a.parked > 0 {
		s.unpark(a)
	}
	return max(writes, 1) - 1 // a chunk that nobody is written is work too
}

// offered tells how far members have been written, and lets the source go on.
func (s *shard) offered(a *audience) {
	pos := a.cursor.Pos()
	a.offered.Store(pos)
	if a.pressing.Load() && a.channel.log.End()-pos <= s.g.pressLag/2 && a.pressing.CompareAndSwap(true, false) {
		s.g.crowd.release()
	}
	if len(a.late) > 0 && pos-a.checked >= s.g.pressLag/4 {
		s.checkLags(a)
	}
}

func again(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}

// fallBehind makes a member late, which was written n bytes beyond its place.
func (s *shard) fallBehind(c *client, n int) {
	a := c.audience
	d := &debt{until: noLog, cursor: a.place(int(c.index)), windowAt: s.now, tookAt: s.now}
	d.cursor.Advance(n)
	a.part(c)
	a.addLate(c)
	c.out = d
	// In this order: never in neither count.
	s.stand(c, standing{late: true})
	s.recount(a)
}

// send writes private output, whole, to a client that is owed nothing.
func (s *shard) send(c *client, b []byte) {
	n, err := unix.Write(c.sock(), b)
	if n == len(b) {
		return
	}
	if err != nil && !again(err) {
		s.drop(c, endReset)
		return
	}
	s.fallBehind(c, 0)
	c.out.tail = append([]byte(nil), b[max(n, 0):]...)
	s.rewatch(c)
}

// pong answers a ping.
func (s *shard) pong(c *client, body []byte) {
	if c.out != nil {
		c.out.pong = frame.Append(c.out.pong[:0], ws.OpPong, body)
		if c.out.parked || c.out.starved {
			s.flush(c)
		}
		return
	}
	s.send(c, frame.Append(s.scratch[:0], ws.OpPong, body))
}

// flush writes what c is owed, or as much of it as leaves others a turn.
func (s *shard) flush(c *client) {
	d := c.out
	if d.parked {
		d.parked = false
		c.audience.parked--
	}
	budget := 2 * s.g.chunk
	if d.resuming {
		budget = s.g.chunk
	}
	for budget > 0 {
		b, fromLog := s.owed(c)
		if len(b) == 0 {
			s.settled(c)
			return
		}
		if fromLog && d.resuming && s.catchUp <= 0 {
			s.starve(c)
			break
		}
		n, err := unix.Write(c.sock(), b)
		if n > 0 {
			budget -= n
			d.took += int64(n)
			d.tookAt = s.now
			if fromLog {
				d.cursor.Advance(n)
				if d.resuming {
					s.catchUp -= n
				}
			} else {
				d.tail = d.tail[n:]
			}
		}
		if n < len(b) {
			if err != nil && !again(err) {
				s.drop(c, endReset)
				return
			}
			break
		}
	}
	if c.audience != nil {
		s.measure(c)
	}
	s.rewatch(c)
}

// owed is what goes out next. A frame that was begun is finished before
// anything else.
func (s *shard) owed(c *client) (b []byte, fromLog bool) {
	d := c.out
	if len(d.tail) > 0 {
		return d.tail, false
	}
	logged := c.audience != nil
	if logged && len(d.pong) > 0 {
		if b = d.cursor.Rest(); len(b) > 0 {
			return b, true
		}
	}
	if len(d.pong) > 0 {
		d.tail, d.pong = d.pong, nil
		return d.tail, false
	}
	if logged {
		end := d.until
		if end == noLog {
			front := c.audience.front()
			end = front.Pos()
		}
		if most := end - d.cursor.Pos(); most > 0 {
			b = d.cursor.Chunk(s.g.chunk)
			return b[:min(int64(len(b)), most)], true
		}
	}
	d.tail, d.last = d.last, nil
	return d.tail, false
}

// settled is called when c is owed nothing more.
func (s *shard) settled(c *client) {
	if c.state == open {
		a := c.audience
		if front := a.front(); c.out.cursor.Pos() > front.Pos() {
			s.park(c)
			return
		}
		a.removeLate(c)
		a.join(c)
		s.recount(a)
		s.stand(c, standing{})
		c.out = nil
		c.heard, c.pinged = s.now, false // it took all: a sign of life
		s.rewatch(c)
		return
	}
	s.letGo(c)
	c.out = nil
	if c.peerDone {
		s.linger(c)
		return
	}
	s.rewatch(c)
}
