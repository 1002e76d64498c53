package amqp_test

import (
	"context"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp"
	"warren/gateway"
)

// benchStream fills a stream with n messages of 64 bytes, through a node.
func benchStream(b *testing.B, name string, n int) {
	b.Helper()
	x, c, stop := benchNode(b, name, 0, 0)
	defer stop()
	m := gateway.Message{Channel: "room", Payload: make([]byte, 64)}
	for range n {
		for x.Publish(m) != nil {
			<-c.room
		}
	}
	if err := x.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func benchNode(b *testing.B, stream string, want int, replay time.Duration) (*amqp.Exchange, *counter, func()) {
	b.Helper()
	x, err := amqp.New(amqp.Options{URLs: []string{broker(b).URL()}, Exchange: "bench." + stream, Node: "bench",
		Delivery: amqp.DeliverStream, Stream: amqp.StreamOptions{Name: stream, Replay: replay}})
	if err != nil {
		b.Fatal(err)
	}
	c := &counter{want: want, done: make(chan struct{}), room: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx, c) }()
	if want == 0 {
		eventually(b, x.Status)
	}
	return x, c, func() { cancel(); <-done }
}

// BenchmarkStreamRead reads messages that are there, as a node does that was
// away.
func BenchmarkStreamRead(b *testing.B) {
	benchStream(b, b.Name(), b.N)
	b.ReportAllocs()
	b.ResetTimer()
	_, c, stop := benchNode(b, b.Name(), b.N, time.Hour)
	<-c.done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.StopTimer()
	stop()
}

// BenchmarkBareStreamRead is its yardstick: the library alone.
func BenchmarkBareStreamRead(b *testing.B) {
	benchStream(b, b.Name(), b.N)
	b.ReportAllocs()
	b.ResetTimer()
	conn, err := amqp091.Dial(broker(b).URL())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		b.Fatal(err)
	}
	if err := ch.Qos(1000, 0, false); err != nil {
		b.Fatal(err)
	}
	got, err := ch.Consume(b.Name(), "", false, false, false, false, amqp091.Table{"x-stream-offset": "first"})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < b.N; {
		d := <-got
		if d.Exchange != "" {
			i++
		}
		if i%500 == 499 || i == b.N {
			d.Ack(true)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
