package gateway

import (
	"errors"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"warren/gateway/frame"
	"warren/gateway/framelog"
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
		x := a.members[a.swept]
		c := x.client
		n, err := unix.Write(c.sock(), a.chunk)
		if n == len(a.chunk) {
			a.swept++
			continue
		}
		if err != nil && !again(err) {
			s.drop(c, endReset)
			continue
		}
		s.fallBehind(c, x, n)
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
	if a.pressing.Load() && a.edition.log.End()-pos <= s.g.pressLag/2 && a.pressing.CompareAndSwap(true, false) {
		s.g.crowd.release()
	}
	if len(a.late) > 0 && pos-a.checked >= s.g.pressLag/4 {
		s.checkLags(a)
	}
}

func again(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}

// send writes private output, whole, to a client that is owed nothing.
func (s *shard) send(c *client, b []byte) {
	if j := c.json; j != nil && len(j.private) > 0 {
		j.private = append(j.private, b...) // it was told more before: its 101, perhaps
		return
	}
	n, err := unix.Write(c.sock(), b)
	if n == len(b) {
		return
	}
	if err != nil && !again(err) {
		s.drop(c, endReset)
		return
	}
	s.fallBehind(c, nil, 0)
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
		s.setParked(c, false)
	}
	budget := 2 * s.g.chunk
	if d.resuming {
		budget = s.g.chunk
	}
	for budget > 0 {
		if d.resuming && s.catchUp <= 0 && s.onlyLogs(d) {
			s.starve(c)
			break
		}
		b, from := s.owed(c)
		if len(b) == 0 {
			s.settled(c)
			return
		}
		n, err := unix.Write(c.sock(), b)
		if n > 0 {
			budget -= n
			d.took += int64(n)
			d.tookAt = s.now
			if from != nil {
				from.behind.cursor.Advance(n)
				from.behind.told = false
			} else {
				d.tail = d.tail[n:]
			}
			if d.resuming {
				s.catchUp -= n
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
	if c.seated() {
		s.measure(c)
	}
	s.rewatch(c)
}

// onlyLogs says that nothing is owed but of logs.
func (s *shard) onlyLogs(d *debt) bool {
	return len(d.tail) == 0 && len(d.pong) == 0 && len(d.private) == 0
}

// owed is what goes out next, and whose log it is from if it is from one. A
// frame that was begun is finished before anything else.
func (s *shard) owed(c *client) (b []byte, from *seat) {
	d := c.out
	if len(d.tail) > 0 {
		return d.tail, nil
	}
	if x := d.begun; x != nil && (len(d.pong) > 0 || len(d.private) > 0 || c.json != nil && len(c.json.seats) > 1) {
		if b = x.behind.cursor.Rest(); len(b) > 0 {
			return b, x
		}
	}
	switch {
	case len(d.pong) > 0:
		d.tail, d.pong = d.pong, nil
		return d.tail, nil
	case len(d.private) > 0:
		d.tail, d.private = d.private, nil
		return d.tail, nil
	}
	if b, from = s.owedOfLogs(c); len(b) > 0 {
		return b, from
	}
	d.tail, d.last = d.last, nil
	return d.tail, nil
}

// owedOfLogs is a chunk of one of c's channels, each in turn.
func (s *shard) owedOfLogs(c *client) (b []byte, from *seat) {
	d := c.out
	if c.json == nil {
		if c.seat.audience == nil {
			return nil, nil
		}
		d.begun = &c.seat
		return s.owedOf(&c.seat)
	}
	seats := c.json.seats
	for range seats {
		c.json.turn++
		if c.json.turn >= len(seats) {
			c.json.turn = 0
		}
		x := seats[c.json.turn]
		if b, from = s.owedOf(x); len(b) > 0 {
			d.begun = from
			return b, from
		}
	}
	return nil, nil
}

// owedOf is a chunk for one seat: of what is past, then of the log.
func (s *shard) owedOf(x *seat) (b []byte, from *seat) {
	r := x.behind
	if r.pastEnd != 0 {
		if b = s.encodePast(x); len(b) > 0 {
			x.client.out.tail = b
			return b, nil
		}
		r.past, r.pastEnd = framelog.Cursor{}, 0
	}
	end := r.until
	if end == noLog {
		front := x.audience.front()
		end = front.Pos()
	}
	if most := end - r.cursor.Pos(); most > 0 {
		b = r.cursor.Chunk(s.g.chunk)
		return b[:min(int64(len(b)), most)], x
	}
	return nil, nil
}

// settled is called when c is owed nothing more.
func (s *shard) settled(c *client) {
	if c.state == open {
		for x := range c.seats {
			if front := x.audience.front(); x.behind.cursor.Pos() > front.Pos() {
				s.park(c)
				return
			}
		}
		for x := range c.seats {
			x.audience.removeLate(x)
			x.audience.join(x)
			s.receives(x, x.audience.active)
		}
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
