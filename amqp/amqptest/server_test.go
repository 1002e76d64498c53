package amqptest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"warren/amqp/amqptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two nodes at once; one is killed, comes back on its port and has kept what
// was durable; the other doesn't notice.
func TestServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	a, b := amqptest.New(t, amqptest.Options{}), amqptest.New(t, amqptest.Options{})

	toB, err := amqp091.Dial(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer toB.Close()
	declare(t, a.URL(), false)

	// An orderly stop first: what was declared within a second of a kill may
	// not be on disk yet.
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	declare(t, a.URL(), true)

	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if c, err := amqp091.Dial(a.URL()); err == nil {
		c.Close()
		t.Fatal("a killed node answers")
	}
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	declare(t, a.URL(), true)
	out, err := a.Ctl(ctx, "list_exchanges", "name")
	if err != nil || !strings.Contains(out, "durable-one") {
		t.Errorf("rabbitmqctl after the restart: %q, %v", out, err)
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	if toB.IsClosed() {
		t.Error("the other node's connection was lost")
	}
}

func declare(t *testing.T, url string, passive bool) {
	t.Helper()
	c, err := amqp091.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	do := ch.ExchangeDeclare
	if passive {
		do = ch.ExchangeDeclarePassive
	}
	if err := do("durable-one", "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
}
