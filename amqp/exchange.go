package amqp

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"warren/gateway"
)

// appID marks Warren's own messages, with ids by sequence.
const appID = "warren"

// Exchange is a fanout exchange in RabbitMQ and what this node reads of it: an
// exclusive queue of its own, or a stream that all nodes share.
type Exchange struct {
	// Static after New.
	opts      Options
	endpoints []endpoint
	publisher string // "<node>.<boot>", of message ids
	maxHold   time.Duration
	report    time.Duration // how often losses and pauses are looked at

	window   *window
	status   status
	counters counters
	running  atomic.Bool
}

var _ gateway.Exchange = (*Exchange)(nil)

// New checks o. It opens nothing yet. Its errors hold no password.
func New(o Options) (*Exchange, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	eps, err := parseURLs(o.URLs)
	if err != nil {
		return nil, err
	}
	x := &Exchange{
		opts:      o,
		endpoints: eps,
		publisher: o.Node + "." + newBoot(),
		maxHold:   4 * time.Minute, // RabbitMQ can be set to give up on acks after 5
		report:    10 * time.Second,
		window:    newWindow(o.WindowMessages, o.WindowBytes),
	}
	x.status.consume.doing, x.status.publish.doing = "not started", publishWaits
	return x, nil
}

// Run keeps the node linked to RabbitMQ until ctx ends; then it returns nil,
// with every connection closed. What RabbitMQ has not confirmed by then is
// never settled.
func (x *Exchange) Run(ctx context.Context, to gateway.Receiver) error {
	if x.running.Swap(true) {
		return errors.New("amqp exchange: Run was called twice")
	}
	c := newConsumer(x, to)
	c.run(ctx)
	x.status.set(&x.status.consume, side{doing: "stopped"})
	return nil
}

// Publish takes m into the window. See gateway.Exchange.
func (x *Exchange) Publish(m gateway.Message) error {
	if len(m.Channel) > maxRoutingKey {
		return fmt.Errorf("channel of %d bytes: an AMQP routing key has at most %d", len(m.Channel), maxRoutingKey)
	}
	if !x.window.put(m, time.Now()) {
		x.counters.refused.Add(1)
		return gateway.ErrBusy
	}
	x.counters.taken.Add(1)
	return nil
}

// Status is nil while the node's queue is consumed and publishing is
// possible. A RabbitMQ that blocks publishing by an alarm is no fault of ours.
func (x *Exchange) Status() error { return x.status.get(time.Now()) }

// Flush waits until what was published before is confirmed.
func (x *Exchange) Flush(ctx context.Context) error {
	last := x.window.lastTaken()
	for {
		left, changed := x.window.unconfirmed(last)
		if left == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for RabbitMQ to confirm: %d messages left: %w", left, ctx.Err())
		}
	}
}
