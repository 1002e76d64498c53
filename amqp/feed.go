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
}

// run delivers until the link fails or ctx ends, and says why.
func (f *feed) run(ctx context.Context) error {
	ackTimer := time.NewTimer(time.Hour)
	defer ackTimer.Stop()
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
			if err := f.take(ctx, &d, ackTimer); err != nil {
				return err
			}
		case d, ok := <-f.direct.deliveries:
			if !ok {
				return f.direct.ended()
			}
			f.strange(&d)
			if f.direct.took(&d); f.direct.unacked == 1 {
				ackTimer.Reset(ackDelay)
			}
		case <-ackTimer.C:
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

// take delivers d, once the gateway wants it.
func (f *feed) take(ctx context.Context, d *amqp091.Delivery, ackTimer *time.Timer) error {
	if err := f.hold(ctx); err != nil {
		return err
	}
	f.read++
	if f.marker == nil {
		f.deliver(d, gateway.ID{})
	} else if err := f.streamed(d); err != nil {
		return err
	}
	if !f.caught {
		f.lastRead = time.Now()
	}
	if f.main.took(d); f.main.unacked == 1 {
		ackTimer.Reset(ackDelay)
	}
	if f.main.unacked >= max(f.x.opts.Prefetch/2, 1) {
		return f.main.ack()
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
// pass: RabbitMQ cuts off who never acks.
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
