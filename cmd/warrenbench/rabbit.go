//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/errgroup"
)

// rabbitCommand is the hidden subcommand: the yardstick of what goes through
// RabbitMQ, an AMQP program that does nothing but that.
const rabbitCommand = "rabbit"

// What a gateway has by default, so that it is the same for both.
const (
	rabbitWindow   = 4096 // messages published and not confirmed
	rabbitPrefetch = 1000 // deliveries not acknowledged
)

// rabbit is that program: it publishes numbered messages with confirms to an
// exchange, or consumes them from a stream bound to it, or does both at once.
type rabbit struct {
	url, exchange, stream, key string
	declare                    bool // the exchange and the stream are its own
	size                       int  // bytes of a message
	named                      bool // messages have an id, a time and their program's name
	publish, consume           bool
	from                       int64 // offset to consume from, or -1: what comes next
	warm, count                int   // messages before the clock starts, and while it runs
}

// rabbitResult is what it prints.
type rabbitResult struct {
	Confirmed time.Duration // from the first message to the last confirm
	Consumed  time.Duration // from then, or from before it connected, to the last message consumed
	CPU       time.Duration // of the program, while the clock ran
	Offset    int64         // of the first message
}

func runRabbit(args []string, out io.Writer) error {
	var r rabbit
	flags := flag.NewFlagSet(rabbitCommand, flag.ContinueOnError)
	flags.StringVar(&r.url, "url", "", "RabbitMQ")
	flags.StringVar(&r.exchange, "exchange", "", "fanout exchange")
	flags.StringVar(&r.stream, "stream", "", "stream bound to it")
	flags.StringVar(&r.key, "key", "", "routing key")
	flags.BoolVar(&r.declare, "declare", false, "declare both")
	flags.IntVar(&r.size, "size", 64, "bytes of a message")
	flags.BoolVar(&r.named, "named", false, "give each message an id, a time and the program's name")
	flags.BoolVar(&r.publish, "publish", false, "publish")
	flags.BoolVar(&r.consume, "consume", false, "consume")
	flags.Int64Var(&r.from, "from", -1, "offset to consume from; -1: what comes next")
	flags.IntVar(&r.warm, "warm", 0, "messages before the clock starts")
	flags.IntVar(&r.count, "count", 0, "messages")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// Whatever waits in here is waited for no longer than this; the count is
	// bounded, so that the slowest machine is done by then.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	result, err := r.run(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

func (r rabbit) run(ctx context.Context) (result rabbitResult, err error) {
	began := time.Now()
	self := []int{os.Getpid()}
	var in *inlet
	var o *outlet
	if r.publish {
		if in, err = r.openInlet(); err != nil {
			return result, err
		}
		defer func() { err = errors.Join(err, in.conn.Close()) }()
	}
	if r.consume {
		if o, err = r.openOutlet(r.from); err != nil {
			return result, err
		}
		defer func() { err = errors.Join(err, o.conn.Close()) }()
	}
	if in == nil { // connecting is part of it, as for whoever comes back
		result.Consumed, err = o.take(ctx, r.count, began)
		result.Offset = o.first
		return result, err
	}
	if o == nil {
		if result.Offset, err = r.firstOffset(ctx, in); err != nil {
			return result, err
		}
		result.Confirmed, err = in.put(ctx, r.count-1, time.Now())
		return result, err
	}
	for _, n := range []int{r.warm, r.count} {
		before, err := cpuTime(self)
		if err != nil {
			return result, err
		}
		began := time.Now()
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() (err error) { result.Confirmed, err = in.put(ctx, n, began); return err })
		g.Go(func() (err error) { result.Consumed, err = o.take(ctx, n, began); return err })
		if err := g.Wait(); err != nil {
			return result, err
		}
		after, err := cpuTime(self)
		if err != nil {
			return result, err
		}
		result.CPU = after - before
	}
	result.Offset = o.first
	return result, nil
}

// firstOffset publishes the first message and finds out where it is.
func (r rabbit) firstOffset(ctx context.Context, in *inlet) (_ int64, err error) {
	o, err := r.openOutlet(-1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, o.conn.Close()) }()
	if _, err := in.put(ctx, 1, time.Now()); err != nil {
		return 0, err
	}
	_, err = o.take(ctx, 1, time.Now())
	return o.first, err
}

func (r rabbit) connect() (*amqp091.Connection, *amqp091.Channel, error) {
	conn, err := amqp091.Dial(r.url)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to RabbitMQ: %w", err)
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open a channel: %w", err), conn.Close())
	}
	return conn, ch, nil
}

// setUp declares what is the program's own, with the bounds of a gateway's.
func (r rabbit) setUp(ch *amqp091.Channel) error {
	if !r.declare {
		return nil
	}
	const maxBytes = 1 << 30
	if err := ch.ExchangeDeclare(r.exchange, "fanout", true, false, false, false, nil); err != nil {
		return fmt.Errorf("declare exchange %s: %w", r.exchange, err)
	}
	_, err := ch.QueueDeclare(r.stream, true, false, false, false, amqp091.Table{
		"x-queue-type":                    "stream",
		"x-max-length-bytes":              int64(maxBytes),
		"x-max-age":                       "3600s",
		"x-stream-max-segment-size-bytes": int64(maxBytes / 16),
	})
	if err != nil {
		return fmt.Errorf("declare stream %s: %w", r.stream, err)
	}
	if err := ch.QueueBind(r.stream, "", r.exchange, false, nil); err != nil {
		return fmt.Errorf("bind stream %s: %w", r.stream, err)
	}
	return nil
}
