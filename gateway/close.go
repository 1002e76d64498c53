package gateway

import (
	"errors"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"warren/gateway/frame"
	"warren/gateway/poll"
)

// Close codes that gobwas/ws has no name for (RFC 6455, 7.4 and the registry).
const (
	statusServiceRestart ws.StatusCode = 1012
	statusTryAgainLater  ws.StatusCode = 1013
)

// Reasons of close frames.
const (
	reasonUTF8   = "invalid UTF-8"
	reasonSlow   = "slow consumer"
	reasonErrors = "too many errors"
	reasonMemory = "overload: no memory for incomplete messages"
)

// ending says why a connection is no more, for the counters.
type ending int

const (
	endClean   ending = iota // by a closing handshake, or after an HTTP answer
	endReset                 // reset, or gone without a close frame
	endDead                  // silent for too long
	endTimeout               // no whole request head in time
	endStuck                 // did not finish closing in time
	endRefused               // not HTTP
	endHanded                // over to the HTTP server
	endings
)

// remainder says what becomes of what the log still has for a client.
type remainder int

const (
	dropLog  remainder = iota
	writeLog           // as far as it goes now, then close
	writeGap           // as far as it went before messages were lost
)

// shut begins the closing handshake: the frame that was begun is finished, the
// log is written or dropped, the close frame goes last. Then input is read on
// until the peer's close frame; its data is still published (RFC 6455, 7.1).
func (s *shard) shut(c *client, code ws.StatusCode, reason string, rest remainder) {
	if c.state != open {
		return
	}
	c.state, c.since = closing, s.now
	s.countOut(c)
	s.g.count.closed(code)
	if c.out == nil {
		s.fallBehind(c, nil, 0)
	}
	d := c.out
	d.last = lastWords(c, code, reason)
	d.resuming, d.starved = false, false // it waits for no more turns: its time is limited
	switch rest {
	case dropLog:
		// Let go of the segments: a copy of one frame's rest is enough.
		d.finishFrame()
		d.pong = nil
		s.letGo(c)
	default:
		for x := range c.seats {
			x.behind.until = x.last(rest)
		}
	}
	s.flush(c)
}

// lastWords is what a client is written last.
func lastWords(c *client, code ws.StatusCode, reason string) []byte {
	if c.enc == eventStream {
		return lastEvents(reason)
	}
	return frame.AppendClose(nil, code, reason)
}

// last is the position up to which a late seat is written before the close frame.
func (x *seat) last(rest remainder) int64 {
	e := x.audience.edition
	if rest == writeLog || !x.misses() {
		return e.log.End()
	}
	at := &x.behind.cursor
	return max(e.gapAt.Load(), at.Pos()+int64(len(at.Rest())))
}

// misses says that messages of its channel were lost since it was taken.
func (x *seat) misses() bool {
	return int32(x.gaps-x.audience.edition.channel.gap.Load()) < 0
}

// fail closes a connection whose input can't be gone on with (RFC 6455, 7.1.7).
func (s *shard) fail(c *client, code ws.StatusCode, reason string) {
	c.deaf, c.peerDone = true, true
	s.release(c)
	switch {
	case c.state == reading:
		s.drop(c, endRefused)
	case c.state == open:
		if s.g.debug {
			s.g.log.Debug("connection failed", "client", c.who(), "code", int(code), "reason", reason)
		}
		s.shut(c, code, reason, dropLog)
	case c.out == nil: // our close frame has left
		s.linger(c)
	}
}

// peerCloses handles the peer's close frame. Nothing may follow it.
func (s *shard) peerCloses(c *client, body []byte) {
	code, err := frame.ParseClose(body)
	switch {
	case errors.Is(err, frame.ErrCloseReason):
		s.fail(c, ws.StatusInvalidFramePayloadData, reasonUTF8)
		return
	case err != nil:
		s.fail(c, ws.StatusProtocolError, err.Error())
		return
	}
	c.deaf, c.peerDone, c.peerCode = true, true, code
	s.release(c)
	switch {
	case c.state == open && c.hold == nil:
		s.shut(c, code, "", dropLog)
	case c.state == closing && c.out == nil:
		s.linger(c)
	}
}

// endOfInput handles the peer's FIN.
func (s *shard) endOfInput(c *client) {
	if c.enc != eventStream && c.peerDone && (c.state == open || c.out != nil) {
		// Its close frame waits behind its data, or ours behind what its
		// socket did not take: it may still read.
		c.ended = true
		s.rewatch(c)
		return
	}
	if c.state == lingering || c.enc == eventStream {
		s.drop(c, endClean)
		return
	}
	s.drop(c, endReset)
}

// linger shuts our side and waits for the end of the peer's: closing with
// input unread would reset the connection, and what is on its way with it.
func (s *shard) linger(c *client) {
	c.state = lingering
	s.release(c)
	if c.hold != nil {
		c.hold.c, c.hold = nil, nil
	}
	_ = unix.Shutdown(c.sock(), unix.SHUT_WR)
	s.watch(c, poll.Read)
}

// drop ends a connection at once.
func (s *shard) drop(c *client, why ending) {
	s.poller.Forget(c.sock())
	_ = unix.Close(c.sock())
	s.leave(c, why)
}

// leave takes a connection from the shard, whose descriptor is closed or handed
// on. What it sent and is held is still published.
func (s *shard) leave(c *client, why ending) {
	if c.state == open {
		s.countOut(c)
		s.g.count.closed(ws.StatusAbnormalClosure)
	}
	s.letGo(c)
	s.release(c)
	delete(s.waiting, c)
	delete(s.expecting, c)
	if c.hold != nil {
		c.hold.c, c.hold = nil, nil
	}
	c.state = gone
	slot := &s.slots[c.slot]
	slot.c = nil
	slot.gen++
	s.free = append(s.free, c.slot)
	s.g.count.ended[why].Add(1)
	s.countOff()
}

// countOff counts a connection off.
func (s *shard) countOff() {
	s.conns.Add(-1)
	s.g.conns.Add(-1)
	s.g.settle()
}

// reset ends a connection that did not end in time; what it has not taken by
// now is discarded by the kernel.
func (s *shard) reset(c *client, why ending) {
	_ = unix.SetsockoptLinger(c.sock(), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	s.drop(c, why)
}

// closeForGap closes clients that were there before messages of their channel
// were lost, each with what its log had for it until then.
func (s *shard) closeForGap() {
	for i := range s.slots {
		c := s.slots[i].c
		if c == nil || c.state != open {
			continue
		}
		for x := range c.seats {
			if x.misses() {
				s.shut(c, statusServiceRestart, "messages were lost", writeGap)
				break
			}
		}
	}
}

// end closes what is left when the loop ends.
func (s *shard) end() {
	for i := range s.slots {
		if c := s.slots[i].c; c != nil {
			s.reset(c, endStuck)
		}
	}
	s.mu.Lock()
	for _, n := range s.mail {
		if n.kind == noteAdopt {
			_ = unix.Close(n.fd)
			s.countOff()
		}
	}
	s.mail = nil
	s.mu.Unlock()
}
