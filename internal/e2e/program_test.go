package e2e_test

import (
	"context"
	"testing"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp/amqptest"
	"warren/internal/rig/rigtest"
)

// program is an AMQP program that isn't Warren, on the exchange of the test.
type program struct {
	t        *testing.T
	ch       *amqp091.Channel
	exchange string
}

func newProgram(t *testing.T, b *amqptest.Server) *program {
	t.Helper()
	conn, err := amqp091.Dial(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &program{t: t, exchange: rigtest.Exchange(t)}
	if p.ch, err = conn.Channel(); err != nil {
		t.Fatal(err)
	}
	if err := p.ch.ExchangeDeclare(p.exchange, amqp091.ExchangeFanout, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	return p
}

// publish returns once RabbitMQ has confirmed.
func (p *program) publish(key string, m amqp091.Publishing) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), rigtest.Patience)
	defer cancel()
	confirm, err := p.ch.PublishWithDeferredConfirmWithContext(ctx, p.exchange, key, true, false, m)
	if err != nil {
		p.t.Fatal(err)
	}
	if ok, err := confirm.WaitContext(ctx); !ok || err != nil {
		p.t.Fatalf("publishing to %q: confirmed %v, %v", key, ok, err)
	}
}

// say publishes text.
func (p *program) say(channel, text string) {
	p.t.Helper()
	p.publish(channel, amqp091.Publishing{ContentType: "text/plain", Body: []byte(text)})
}

// listen consumes from a queue of the program's own.
func (p *program) listen() <-chan amqp091.Delivery {
	p.t.Helper()
	q, err := p.ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.ch.QueueBind(q.Name, "", p.exchange, false, nil); err != nil {
		p.t.Fatal(err)
	}
	deliveries, err := p.ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return deliveries
}
