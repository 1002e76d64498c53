package amqp

import (
	"context"
	"errors"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// ackDelay is how long a delivery may go without ack.
const ackDelay = 200 * time.Millisecond

// feed is the delivery side of one attachment.
type feed struct {
	*consumer
	ep         endpoint
	link       *link
	ch         *amqp091.Channel
	queue      string // the node's
	deliveries <-chan amqp091.Delivery
	closed     <-chan *amqp091.Error
	canceled   <-chan string

	tag     uint64 // of the last delivery
	unacked int
	free    int // deliveries that pass even while the gateway holds
}

// run delivers until the link fails or ctx ends, and says why.
func (f *feed) run(ctx context.Context) error {
	ackTimer := time.NewTimer(time.Hour)
	defer ackTimer.Stop()
	report := time.NewTicker(f.x.report)
	defer report.Stop()
	for {
		select {
		case d, ok := <-f.deliveries:
			if !ok {
				return f.ended()
			}
			if err := f.hold(ctx); err != nil {
				return err
			}
			f.deliver(&d)
			f.tag = d.DeliveryTag
			if f.unacked++; f.unacked == 1 {
				ackTimer.Reset(ackDelay)
			}
			if f.unacked >= max(f.x.opts.Prefetch/2, 1) {
				if err := f.ack(); err != nil {
					return err
				}
			}
		case <-ackTimer.C:
			if err := f.ack(); err != nil {
				return err
			}
		case <-report.C:
			f.reportLosses()
			if err := f.link.setUp(f.ep, f.bind); err != nil {
				return err
			}
		case e := <-f.closed:
			return f.closedBy(e)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errCanceled = errors.New("RabbitMQ canceled the consumer: the node's queue is gone")

// ended says why the deliveries ended: one of these two came before.
func (f *feed) ended() error {
	if _, ok := <-f.canceled; ok {
		return errCanceled
	}
	return f.closedBy(<-f.closed)
}

func (f *feed) closedBy(e *amqp091.Error) error {
	if e == nil {
		e = amqp091.ErrClosed
	}
	return &linkError{"", f.ep, e}
}

func (f *feed) ack() error {
	if f.unacked == 0 {
		return nil
	}
	f.unacked = 0
	if err := f.ch.Ack(f.tag, true); err != nil {
		return &linkError{"acknowledging", f.ep, err}
	}
	return nil
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
		case _, ok := <-f.canceled:
			if ok {
				return errCanceled
			}
			return f.ended()
		case e := <-f.closed:
			return f.closedBy(e)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
