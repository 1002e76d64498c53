package amqp

import (
	"context"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/gateway"
)

// ackDelay is how long a delivery may go without ack.
const ackDelay = 200 * time.Millisecond

// feed is the delivery side of one attachment.
type feed struct {
	*consumer
	ep     endpoint
	link   *link
	main   source  // the stream, or the node's queue
	direct source  // the node's queue, if main is the stream
	marker *marker // nil unless main is the stream

	began    time.Time
	caught   bool // all was read that was there when the marker was published
	read     int  // deliveries of main
	lastRead time.Time
	got      int64     // bytes that had come at lastRead, at least
	markedAt time.Time // when the marker's confirm was noticed
	free     int       // deliveries that pass even while the gateway holds
	ackTimer *time.Timer
}

// run delivers until the link fails or ctx ends, and says why.
func (f *feed) run(ctx context.Context) error {
	f.ackTimer = time.NewTimer(time.Hour)
	defer f.ackTimer.Stop()
	report := time.NewTicker(f.x.report)
	defer report.Stop()
	catching := f.catching()
	defer catching.Stop()
	for {
		select {
		case d, ok := <-f.main.deliveries:
			if !ok {
				return f.main.ended()
			}
			if err := f.take(ctx, &d); err != nil {
				return err
			}
		case d, ok := <-f.direct.deliveries:
			if !ok {
				return f.direct.ended()
			}
			if err := f.takeDirect(&d); err != nil {
				return err
			}
		case <-f.ackTimer.C:
			if err := f.ack(); err != nil {
				return err
			}
		case <-report.C:
			f.reportLosses()
			if err := f.link.setUp(f.ep, func() error { return f.main.bind(f.x.opts.Exchange) }); err != nil {
				return err
			}
		case <-catching.C:
			if err := f.checkSilence(time.Now()); err != nil {
				return err
			}
			if f.caught {
				catching.Stop()
			}
		case e := <-f.main.closed:
			return f.main.closedBy(e)
		case e := <-f.direct.closed:
			return f.direct.closedBy(e)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take delivers d, once the gateway wants it. In queue delivery it may be for
// one client: that doesn't wait itself, only behind what does.
func (f *feed) take(ctx context.Context, d *amqp091.Delivery) error {
	if f.marker == nil && f.main.isDirect(d) {
		f.deliverDirect(d)
		return f.took(&f.main, d)
	}
	if err := f.hold(ctx); err != nil {
		return err
	}
	f.read++
	switch {
	case f.marker != nil:
		if err := f.streamed(d); err != nil {
			return err
		}
	case d.Exchange == "":
		f.strange(d) // a copy, by the header CC
	default:
		f.deliver(d, gateway.ID{})
	}
	if !f.caught {
		f.lastRead = time.Now()
	}
	return f.took(&f.main, d)
}

// takeDirect delivers d of the node's own queue, beside a stream.
func (f *feed) takeDirect(d *amqp091.Delivery) error {
	if f.direct.isDirect(d) {
		f.deliverDirect(d)
	} else {
		f.strange(d)
	}
	return f.took(&f.direct, d)
}

// took sees to it that d of s is acknowledged: with half a prefetch of them, or
// soon.
func (f *feed) took(s *source, d *amqp091.Delivery) error {
	s.took(d)
	if f.main.unacked+f.direct.unacked == 1 { // else it runs already
		f.ackTimer.Reset(ackDelay)
	}
	if s.unacked >= max(f.x.opts.Prefetch/2, 1) {
		return s.ack()
	}
	return nil
}

func (f *feed) ack() error {
	if err := f.direct.ack(); err != nil {
		return err
	}
	return f.main.ack()
}

// hold waits while the gateway wants no deliveries, and withholds the acks,
// so that RabbitMQ stops sending. After maxHold it lets a prefetch's worth
// pass: RabbitMQ cuts off who never acks. What comes for one client beside a
// stream is delivered all the while.
func (f *feed) hold(ctx context.Context) error {
	released := f.to.Hold()
	if released == nil {
		f.free = 0
		return nil
	}
	if f.free > 0 {
		f.free--
		return nil
	}
	began := time.Now()
	f.x.counters.holds.Add(1)
	defer func() { f.x.counters.holdTime.Add(int64(time.Since(began))) }()
	limit := time.NewTimer(f.x.maxHold)
	defer limit.Stop()
	for ; released != nil; released = f.to.Hold() {
		select {
		case <-released:
		case d, ok := <-f.direct.deliveries:
			if !ok {
				return f.direct.ended()
			}
			if err := f.takeDirect(&d); err != nil {
				return err
			}
			if err := f.direct.ack(); err != nil { // nobody looks at the timer
				return err
			}
		case <-limit.C:
			f.x.counters.heldOver.Add(1)
			f.x.opts.Logger.Warn("clients did not catch up in time: deliveries go on", "paused", f.x.maxHold)
			f.free = f.x.opts.Prefetch
			return f.ack()
		case _, ok := <-f.main.canceled:
			if ok {
				return f.main.gone()
			}
			return f.main.ended()
		case e := <-f.main.closed:
			return f.main.closedBy(e)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
