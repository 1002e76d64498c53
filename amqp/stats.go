package amqp

import (
	"sync/atomic"
	"time"
)

// Stats is a snapshot of an Exchange's counters since it was made.
type Stats struct {
	Publish PublishStats
	Consume ConsumeStats
}

// PublishStats counts what goes to RabbitMQ.
type PublishStats struct {
	Taken     uint64 // messages that Publish took
	Refused   uint64 // calls of Publish that returned ErrBusy
	Confirmed uint64 // messages confirmed
	Resent    uint64 // sent again after a link failed
	Returned  uint64 // came back because no queue was bound
	Rejected  uint64 // given up: RabbitMQ closed the channel over their size
	Timeouts  uint64 // links dropped because confirms stayed away

	Window      int // messages held now
	WindowBytes int
	Blocked     bool // RabbitMQ blocks publishing now: a memory or disk alarm
}

// ConsumeStats counts what comes from RabbitMQ.
type ConsumeStats struct {
	Received   uint64 // messages of any kind
	Delivered  uint64 // handed to the gateway
	Direct     uint64 // handed to the gateway for one client: sent straight to the node's queue
	Duplicates uint64 // dropped: seen before
	Forgotten  uint64 // times ids were forgotten before their time, to keep to ForeignIDs
	Strange    uint64 // dropped: sent straight to the stream, or to the node's queue for no client

	Gaps    uint64        // times the node's queue was gone after it had been there
	GapTime time.Duration // how long, together

	// Holes are sequence numbers of Warren's publishers that were passed
	// over; Filled are those of them that came late after all. The
	// difference is how many messages were lost.
	Holes, Filled uint64

	Holds     uint64 // times the gateway held deliveries
	HoldTime  time.Duration
	HeldOver  uint64 // holds that met their time limit
	Attaching uint64 // attempts to reach RabbitMQ
}

// Lost is how many of Warren's messages this node was not given.
func (c ConsumeStats) Lost() uint64 { return c.Holes - c.Filled }

// counters is what Stats is made of. All atomic.
type counters struct {
	taken, refused, confirmed, resent, returned, rejected, timeouts atomic.Uint64
	blocked                                                         atomic.Bool
	received, delivered, duplicates, forgotten, gaps                atomic.Uint64
	direct, strange, holes, filled, holds, heldOver, attaching      atomic.Uint64
	gapTime, holdTime                                               atomic.Int64 // nanoseconds
}

// Stats reads the counters. Any goroutine.
func (x *Exchange) Stats() Stats {
	c := &x.counters
	s := Stats{
		Publish: PublishStats{
			Taken: c.taken.Load(), Refused: c.refused.Load(), Confirmed: c.confirmed.Load(), Resent: c.resent.Load(),
			Returned: c.returned.Load(), Rejected: c.rejected.Load(), Timeouts: c.timeouts.Load(), Blocked: c.blocked.Load(),
		},
		Consume: ConsumeStats{
			Received: c.received.Load(), Delivered: c.delivered.Load(), Duplicates: c.duplicates.Load(),
			Forgotten: c.forgotten.Load(), Direct: c.direct.Load(), Strange: c.strange.Load(),
			Gaps: c.gaps.Load(), GapTime: time.Duration(c.gapTime.Load()),
			Filled: c.filled.Load(), Holes: c.holes.Load(), // a hole is counted before it is filled
			Holds: c.holds.Load(), HoldTime: time.Duration(c.holdTime.Load()), HeldOver: c.heldOver.Load(),
			Attaching: c.attaching.Load(),
		},
	}
	s.Publish.Window, s.Publish.WindowBytes, _ = x.window.state()
	return s
}
