package gateway

import (
	"sync/atomic"

	"github.com/gobwas/ws"
)

// counters are what a node counts from its start on.
type counters struct {
	accepted, acceptPauses, acceptErrors atomic.Uint64
	notHTTP, upgraded                    atomic.Uint64
	refusals                             [600]atomic.Uint64 // by HTTP status
	closes                               [16]atomic.Uint64  // by close code - 1000, others last
	ended                                [endings]atomic.Uint64
	received, publishErrors, held        atomic.Uint64
	delivered, oversize, unheard         atomic.Uint64
	evicted, skips, skipped, shed        atomic.Uint64
	inboundFull, pings, gaps             atomic.Uint64
	resumed, missed, awaited, trimmed    atomic.Uint64
	streams                              atomic.Uint64
	direct, directLost, commandErrors    atomic.Uint64
	perAddress, crowded, conflicts       atomic.Uint64
}

func (c *counters) refused(status int) { c.refusals[status].Add(1) }

func (c *counters) closed(code ws.StatusCode) {
	c.closes[closeIndex(code)].Add(1)
}

// closeIndex is where a code is counted; 1005, no code, has 0 on the wire here.
func closeIndex(code ws.StatusCode) int {
	switch {
	case code == 0:
		return 5
	case code >= 1000 && code < 1015:
		return int(code - 1000)
	}
	return 15
}

// Stats is a snapshot of a node. Counts are from its start on.
type Stats struct {
	Connections int64 // now, those in handshakes and closing included
	Clients     int64 // open WebSockets now
	Channels    int   // with listeners now, root included
	LogBytes    int64 // that laggards keep alive now, beyond histories
	History     int64 // bytes of histories now
	Inbound     int64 // bytes of incomplete and held messages now

	Accepted     uint64         // connections
	AcceptPauses uint64         // for want of descriptors or memory
	AcceptErrors uint64         // connections that were gone when they were accepted
	Upgraded     uint64         // handshakes that succeeded
	EventStreams uint64         // begun
	NotHTTP      uint64         // connections that spoke something else
	Refused      map[int]uint64 // requests, by HTTP status
	Closed       map[int]uint64 // WebSockets, by the close code sent; 1006: none, 0: others
	TimedOut     uint64         // handshakes cut at their deadline
	Dead         uint64         // clients given up after a ping
	Stuck        uint64         // connections reset at the close timeout

	Received    uint64 // messages from clients, commands of the JSON protocol included
	Held        uint64 // times a client was held back
	Delivered   uint64 // messages from the exchange
	Unheard     uint64 // of these, messages nobody listened for
	Oversize    uint64 // of these, messages dropped: over max_deliver_size
	Evicted     uint64 // slow clients closed
	Skips       uint64 // times a slow client was moved on
	Skipped     uint64 // messages that cost them
	Shed        uint64 // laggards closed for memory.logs
	InboundFull uint64 // times memory.inbound was reached
	Holds       uint64 // times the source was held back
	Failures    uint64 // messages the exchange refused for good
	Pings       uint64
	Gaps        uint64 // times messages were missing from the exchange
	Resumed     uint64 // clients that asked for what was past
	Missed      uint64 // of these, those told that they miss some of it
	Awaited     uint64 // handshakes that waited for a message which other nodes had delivered
	Trimmed     uint64 // parts of histories dropped early for memory.logs
	Direct      uint64 // messages for one connection
	DirectLost  uint64 // of these, messages whose connection was gone, or couldn't take them
	BadCommands uint64 // errors of clients of the JSON protocol
	PerAddress  uint64 // refused: their address had all the clients it may have
	Crowded     uint64 // refused: more than Clients.HandshakeRate
	Conflicts   uint64 // requests whose forwarding fields contradict each other
}

// Stats takes a snapshot. Any goroutine, once Serve runs.
func (g *Gateway) Stats() Stats {
	c := &g.count
	st := Stats{
		Connections: g.conns.Load(),
		Clients:     g.clients.Load(),
		Inbound:     g.inbound.Load(),
		LogBytes:    g.retained(),
		History:     g.histories.bytes.Load(),

		Accepted:     c.accepted.Load(),
		AcceptPauses: c.acceptPauses.Load(),
		AcceptErrors: c.acceptErrors.Load(),
		Upgraded:     c.upgraded.Load(),
		EventStreams: c.streams.Load(),
		NotHTTP:      c.notHTTP.Load(),
		Refused:      map[int]uint64{},
		Closed:       map[int]uint64{},
		TimedOut:     c.ended[endTimeout].Load(),
		Dead:         c.ended[endDead].Load(),
		Stuck:        c.ended[endStuck].Load(),

		Received:    c.received.Load(),
		Held:        c.held.Load(),
		Delivered:   c.delivered.Load(),
		Unheard:     c.unheard.Load(),
		Oversize:    c.oversize.Load(),
		Evicted:     c.evicted.Load(),
		Skips:       c.skips.Load(),
		Skipped:     c.skipped.Load(),
		Shed:        c.shed.Load(),
		InboundFull: c.inboundFull.Load(),
		Holds:       g.crowd.holds.Load(),
		Failures:    c.publishErrors.Load(),
		Pings:       c.pings.Load(),
		Gaps:        c.gaps.Load(),
		Resumed:     c.resumed.Load(),
		Missed:      c.missed.Load(),
		Awaited:     c.awaited.Load(),
		Trimmed:     c.trimmed.Load(),
		Direct:      c.direct.Load(),
		DirectLost:  c.directLost.Load(),
		BadCommands: c.commandErrors.Load(),
		PerAddress:  c.perAddress.Load(),
		Crowded:     c.crowded.Load(),
		Conflicts:   c.conflicts.Load(),
	}
	for status := range c.refusals {
		if n := c.refusals[status].Load(); n > 0 {
			st.Refused[status] = n
		}
	}
	for i := range c.closes {
		if n := c.closes[i].Load(); n > 0 {
			code := 1000 + i
			if i == 15 {
				code = 0
			}
			st.Closed[code] = n
		}
	}
	g.mu.Lock()
	st.Channels = g.heard
	g.mu.Unlock()
	return st
}
