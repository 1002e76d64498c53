//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// inlet publishes.
type inlet struct {
	r        rabbit
	conn     *amqp091.Connection
	ch       *amqp091.Channel
	confirms chan amqp091.Confirmation
	returns  chan amqp091.Return
	seq      int64
	id       string // what the ids of messages begin with
	text     []byte
}

func (r rabbit) openInlet() (*inlet, error) {
	conn, ch, err := r.connect()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(r.setUp(ch), ch.Confirm(false)); err != nil {
		return nil, errors.Join(fmt.Errorf("set up publishing: %w", err), conn.Close())
	}
	return &inlet{
		r: r, conn: conn, ch: ch, text: make([]byte, r.size),
		id: fmt.Sprintf("rabbit.%016x-", rand.Uint64()),
		// The library stalls when one of these is full.
		confirms: ch.NotifyPublish(make(chan amqp091.Confirmation, rabbitWindow+1)),
		returns:  ch.NotifyReturn(make(chan amqp091.Return, rabbitWindow+1)),
	}, nil
}

// put publishes n messages and returns when the last was confirmed, since began.
func (in *inlet) put(ctx context.Context, n int, began time.Time) (time.Duration, error) {
	for sent, acked := 0, 0; acked < n; {
		for ; sent < n && sent-acked < rabbitWindow && len(in.confirms) == 0; sent++ {
			if err := in.one(); err != nil {
				return 0, err
			}
		}
		select {
		case c, ok := <-in.confirms:
			if !ok || !c.Ack {
				return 0, fmt.Errorf("message %d of %d was not confirmed", acked+1, n)
			}
			acked++
		case r := <-in.returns:
			return 0, fmt.Errorf("a message came back: %s", r.ReplyText)
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for confirm %d of %d: %w", acked+1, n, ctx.Err())
		}
	}
	return time.Since(began), nil
}

func (in *inlet) one() error {
	payload(in.text, in.seq)
	m := amqp091.Publishing{ContentType: "text/plain", DeliveryMode: amqp091.Persistent, Body: in.text}
	if in.r.named {
		m.MessageId = in.id + strconv.FormatInt(in.seq, 10)
		m.Timestamp = time.Now()
		m.AppId = rabbitCommand
	}
	in.seq++
	if err := in.ch.Publish(in.r.exchange, in.r.key, true, false, m); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// outlet consumes.
type outlet struct {
	r          rabbit
	conn       *amqp091.Connection
	ch         *amqp091.Channel
	deliveries <-chan amqp091.Delivery
	seq        int64 // of the next message
	first      int64 // offset of number 0
}

func (r rabbit) openOutlet(from int64) (*outlet, error) {
	conn, ch, err := r.connect()
	if err != nil {
		return nil, err
	}
	o := &outlet{r: r, conn: conn, ch: ch}
	var offset any = from
	if from < 0 {
		offset = "next"
	}
	if err := errors.Join(r.setUp(ch), ch.Qos(rabbitPrefetch, 0, false)); err != nil {
		return nil, errors.Join(fmt.Errorf("set up consuming: %w", err), conn.Close())
	}
	o.deliveries, err = ch.Consume(r.stream, "", false, false, false, false, amqp091.Table{"x-stream-offset": offset})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("consume from %s: %w", r.stream, err), conn.Close())
	}
	return o, nil
}

// take consumes n messages, in order, and returns when the last came, since
// began.
func (o *outlet) take(ctx context.Context, n int, began time.Time) (time.Duration, error) {
	for i := range n {
		var d amqp091.Delivery
		var ok bool
		select {
		case d, ok = <-o.deliveries:
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for message %d of %d: %w", i+1, n, ctx.Err())
		}
		if !ok {
			return 0, fmt.Errorf("the consumer ended before message %d of %d", i+1, n)
		}
		offset, _ := d.Headers["x-stream-offset"].(int64)
		if d.RoutingKey != o.r.key || offset < o.r.from {
			return 0, fmt.Errorf("message with key %q at offset %d: want key %q from offset %d", d.RoutingKey, offset, o.r.key, o.r.from)
		}
		if len(d.Body) != o.r.size {
			return 0, fmt.Errorf("message of %d bytes, want %d", len(d.Body), o.r.size)
		}
		if number, err := strconv.ParseInt(string(d.Body[:seqDigits]), 10, 64); err != nil || number != o.seq {
			return 0, fmt.Errorf("message %.20q where number %d should be", d.Body, o.seq)
		}
		if o.seq == 0 {
			o.first = offset
		}
		o.seq++
		if (i+1)%(rabbitPrefetch/2) == 0 || i+1 == n {
			if err := o.ch.Ack(d.DeliveryTag, true); err != nil {
				return 0, fmt.Errorf("acknowledge: %w", err)
			}
		}
	}
	return time.Since(began), nil
}
