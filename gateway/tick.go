package gateway

import (
	"cmp"
	"slices"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
)

// visitIn is the number of ticks in which every client is visited once, so that
// pings of many clients don't leave in one burst.
const visitIn = 5

// tick looks after time: deadlines, pings, quiet channels, lags.
func (s *shard) tick() {
	s.visitWaiting()
	s.visitExpecting()
	if err := s.accept(); err != nil {
		s.g.log.Error("cannot accept connections", "err", err)
	}
	for range len(s.slots)/visitIn + 1 {
		if s.tickSlot >= len(s.slots) {
			s.tickSlot = 0
			s.copies, s.copying = s.copying, 0
			break
		}
		if c := s.slots[s.tickSlot].c; c != nil {
			s.visit(c)
		}
		s.tickSlot++
	}
	for range len(s.audiences)/visitIn + 1 {
		if s.tickAud >= len(s.audiences) {
			s.tickAud = 0
			break
		}
		s.visitAudience(s.audiences[s.tickAud])
		s.tickAud++
	}
	s.visitLate()
}

// visit checks c's deadlines.
func (s *shard) visit(c *client) {
	o := &s.g.o
	inState := int32(s.now - c.since)
	switch c.state {
	case reading:
		if inState > millis(o.WebSocket.HandshakeTimeout) {
			s.reset(c, endTimeout)
		}
	case closing, lingering:
		if inState > millis(o.Clients.CloseTimeout) {
			s.reset(c, endStuck)
		}
	case open:
		s.visitOpen(c)
	}
	if c.out != nil {
		s.copying += c.out.copied()
	}
}

// visitOpen pings a silent client, and gives up one that stays silent. Bytes
// from the peer are signs of life; so is taking bytes after its socket was
// full. (A write into an empty socket proves nothing: a dead host's kernel
// buffer takes those for minutes.)
func (s *shard) visitOpen(c *client) {
	if c.enc == eventStream {
		s.visitEvents(c)
		return
	}
	if c.hold != nil || c.peerDone {
		return // it isn't read from: silence means nothing
	}
	if c.out != nil && (c.out.starved || c.out.parked) {
		return // it isn't written to: a ping would wait, too
	}
	o := &s.g.o.WebSocket
	alive := c.heard
	if c.out != nil && int32(c.out.tookAt-alive) > 0 {
		alive = c.out.tookAt
	}
	if c.pinged {
		if int32(alive-c.pingedAt) > 0 {
			c.pingedAt = alive
		}
		if int32(s.now-c.pingedAt) > millis(o.PongTimeout) {
			s.reset(c, endDead)
		}
		return
	}
	// Up to a quarter earlier, by slot: clients that were heard together need
	// not be pinged together.
	interval := millis(o.PingInterval)
	early := int32(c.slot%64) * (interval / 4) / 64
	if int32(s.now-alive) < interval-early {
		return
	}
	c.pinged, c.pingedAt = true, s.now
	if c.out == nil {
		s.g.count.pings.Add(1)
		s.send(c, frame.Append(s.scratch[:0], ws.OpPing, nil))
	}
	// Else its socket is full: what it takes is the sign that is waited for.
}

// visitAudience clears up after a channel that fell quiet.
func (s *shard) visitAudience(a *audience) {
	if s.g.Hold() != nil {
		a.lastData = s.now // it is quiet because it is held back
	}
	if a.active && int32(s.now-a.lastData) > activeMillis {
		a.active = false
		s.recount(a)
	}
	pos := a.cursor.Pos()
	// Quiet, measured by what its segment costs.
	if cost := a.cursor.Buffer(); cost > 0 && pos == a.edition.log.End() && pos-a.visited <= int64(cost/16) {
		s.g.seal(a.edition)
	}
	a.visited = pos
}

// visitLate checks those that are late, and the sum of what they keep alive.
func (s *shard) visitLate() {
	var retained int64
	s.lateVisit++
	for a := range s.latecomers {
		a.checked = a.cursor.Pos()
		for i := len(a.late) - 1; i >= 0; i-- { // from the end: the client may leave
			// Once a client: the square of its channels would stop the shard.
			if c := a.late[i].client; c.out.visited != s.lateVisit {
				c.out.visited = s.lateVisit
				s.progress(c)
				s.checkLag(c)
			}
		}
		var most int64
		for _, x := range a.late {
			x.behind.beyond = x.beyond()
			most = max(most, x.behind.beyond)
		}
		retained += most
	}
	retained += s.copies
	s.retained.Store(retained)
	if s.g.overLogs() > 0 {
		if over := s.g.trim(); over > 0 && retained > 0 && s.g.retainsMost(s) {
			s.shed(over)
		}
	}
	s.g.crowd.judge(s.now)
}

// beyond is the bytes of logs that a late seat keeps alive, beyond histories.
func (x *seat) beyond() int64 {
	e, r := x.audience.edition, x.behind
	n := e.log.Beyond(&r.cursor)
	if r.pastEnd != 0 {
		n += e.channel.kept().Beyond(&r.past)
	}
	return n
}

// shed closes the worst laggards until so many bytes are free, or nobody here
// lags: memory.logs is the sum over a node.
func (s *shard) shed(bytes int64) {
	type laggard struct {
		c     *client
		keeps int64
	}
	var list []laggard
	for i := range s.slots {
		c := s.slots[i].c
		if c == nil || c.state != open || c.out == nil {
			continue
		}
		keeps := c.out.copied()
		for x := range c.seats {
			keeps += x.behind.beyond
		}
		if keeps > 0 {
			list = append(list, laggard{c, keeps})
		}
	}
	slices.SortFunc(list, func(a, b laggard) int { return cmp.Compare(b.keeps, a.keeps) })
	for _, l := range list {
		if bytes <= 0 {
			return
		}
		bytes -= l.keeps
		s.g.count.shed.Add(1)
		l.c.out.private = nil
		s.shut(l.c, statusTryAgainLater, "overload: the node is short of memory", dropLog)
	}
}
