package amqp_test

import (
	"errors"
	"testing"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp"
	"warren/gateway"
)

// counter is a gateway that counts up to a number.
type counter struct {
	n, want int
	done    chan struct{}
	room    chan struct{}
}

func (c *counter) Deliver(m gateway.Message) {
	if m.Blank {
		return
	}
	if c.n++; c.n == c.want {
		close(c.done)
	}
}
func (c *counter) Gap(gateway.Gap)       {}
func (c *counter) Hold() <-chan struct{} { return nil }
func (c *counter) Ready() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// BenchmarkRoundTrip publishes 64-byte messages, confirmed, and consumes them
// on the same node.
func BenchmarkRoundTrip(b *testing.B) {
	x, err := amqp.New(amqp.Options{URLs: []string{broker(b).URL()}, Exchange: "bench.round"})
	if err != nil {
		b.Fatal(err)
	}
	c := &counter{want: b.N, done: make(chan struct{}), room: make(chan struct{}, 1)}
	ctx, done := b.Context(), make(chan error, 1)
	go func() { done <- x.Run(ctx, c) }()
	eventually(b, x.Status)
	m := gateway.Message{Channel: "room", Payload: make([]byte, 64)}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for errors.Is(x.Publish(m), gateway.ErrBusy) {
			<-c.room
		}
	}
	<-c.done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkBare is the yardstick: the library alone, with confirms and acks
// in batches.
func BenchmarkBare(b *testing.B) {
	const window = 4096
	pub, err := amqp091.Dial(broker(b).URL())
	if err != nil {
		b.Fatal(err)
	}
	defer pub.Close()
	con, err := amqp091.Dial(broker(b).URL())
	if err != nil {
		b.Fatal(err)
	}
	defer con.Close()
	p, err := pub.Channel()
	if err != nil {
		b.Fatal(err)
	}
	c, err := con.Channel()
	if err != nil {
		b.Fatal(err)
	}
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	check(c.ExchangeDeclare("bench.bare", "fanout", true, false, false, false, nil))
	check(c.Qos(1000, 0, false))
	q, err := c.QueueDeclare("", false, true, true, false, nil)
	check(err)
	check(c.QueueBind(q.Name, "", "bench.bare", false, nil))
	got, err := c.Consume(q.Name, "w", false, false, false, false, nil)
	check(err)
	confirms := p.NotifyPublish(make(chan amqp091.Confirmation, window))
	check(p.Confirm(false))
	done := make(chan struct{})
	body := make([]byte, 64)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		defer close(done)
		for i := range b.N {
			d := <-got
			if i%500 == 499 || i == b.N-1 {
				d.Ack(true)
			}
		}
	}()
	sent, acked := 0, 0
	for acked < b.N {
		if sent < b.N && sent-acked < window {
			check(p.Publish("bench.bare", "room", false, false, amqp091.Publishing{Body: body, DeliveryMode: 1}))
			sent++
			for len(confirms) > 0 {
				<-confirms
				acked++
			}
			continue
		}
		<-confirms
		acked++
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
