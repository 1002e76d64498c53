package amqptest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp/amqptest"
)

const stream = "kept"

// A stream with three replicas takes messages while any one node is down, and
// has them all, in order, when each node has been killed once.
func TestCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := amqptest.NewCluster(t, 3, amqptest.Options{})
	sent := 0
	send := func(url string) {
		t.Helper()
		for range 20 {
			body := fmt.Sprint(sent)
			persist(ctx, t, func() error { return publish(ctx, url, body) })
			sent++
		}
	}
	persist(ctx, t, func() error { return publish(ctx, c.Nodes[0].URL(), "first") })
	if err := c.Nodes[0].Sync(ctx); err != nil {
		t.Fatal(err)
	}
	for i, n := range c.Nodes {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		send(c.Nodes[(i+1)%3].URL())
		if err := n.Start(ctx); err != nil {
			t.Fatal(err)
		}
		send(n.URL())
	}
	for _, url := range c.URLs() {
		var got []string
		persist(ctx, t, func() (err error) { got, err = read(ctx, url, fmt.Sprint(sent-1)); return err })
		// What was sent again may be there again.
		got = slices.Compact(got)
		if len(got) != sent+1 {
			t.Errorf("%d different messages, sent %d: %q", len(got), sent+1, got)
		}
	}
}

// persist repeats what can fail while nodes come and go.
func persist(ctx context.Context, t *testing.T, do func() error) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := do()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%v: %v", ctx.Err(), err)
		}
	}
}

// withChannel runs do on a channel of a new connection, with the stream declared.
func withChannel(url string, do func(*amqp091.Channel) error) error {
	conn, err := amqp091.Dial(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if _, err := ch.QueueDeclare(stream, true, false, false, false, amqp091.Table{amqp091.QueueTypeArg: "stream"}); err != nil {
		return err
	}
	return do(ch)
}

// publish returns once the stream has body.
func publish(ctx context.Context, url, body string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return withChannel(url, func(ch *amqp091.Channel) error {
		returns := ch.NotifyReturn(make(chan amqp091.Return, 1))
		if err := ch.Confirm(false); err != nil {
			return err
		}
		m := amqp091.Publishing{DeliveryMode: amqp091.Persistent, Body: []byte(body)}
		confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", stream, true, false, m)
		if err != nil {
			return err
		}
		ok, err := confirm.WaitContext(ctx)
		switch {
		case err != nil:
			return err
		case !ok:
			return errors.New("nack")
		case len(returns) > 0:
			return errors.New("returned")
		}
		return nil
	})
}

// read is what the stream has, until last.
func read(ctx context.Context, url, last string) (got []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = withChannel(url, func(ch *amqp091.Channel) error {
		if err := ch.Qos(100, 0, false); err != nil {
			return err
		}
		deliveries, err := ch.Consume(stream, "", false, false, false, false, amqp091.Table{"x-stream-offset": "first"})
		if err != nil {
			return err
		}
		for {
			select {
			case d, ok := <-deliveries:
				if !ok {
					return errors.New("the deliveries ended")
				}
				got = append(got, string(d.Body))
				if string(d.Body) == last {
					return nil
				}
				if err := d.Ack(false); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return got, err
}
