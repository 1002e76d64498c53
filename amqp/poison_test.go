package amqp_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp"
)

// Someone deletes the exchange and another node makes it anew: a node that only
// listens notices that its binding went with it.
func TestExchangeMadeAnew(t *testing.T) {
	speaker := newNode(t, nil)
	listener := makeNode(t, func(o *amqp.Options) { o.Node = "listener" })
	listener.SetReport(10 * time.Millisecond)
	listener.start(t)
	listener.waitReady(t)
	speaker.publish(t, "room", "before")
	speaker.flush(t)
	listener.wait(t, 1)
	if err := program(t).ExchangeDelete(exchangeName(t), false, false); err != nil {
		t.Fatal(err)
	}
	sent := 0
	eventually(t, func() error {
		speaker.publish(t, "room", "after")
		speaker.flush(t)
		sent++
		listener.mu.Lock()
		defer listener.mu.Unlock()
		if last := listener.got[len(listener.got)-1]; string(last.Payload) != "after" {
			return fmt.Errorf("none of %d messages heard", sent)
		}
		return nil
	})
}

// Ids can be forged by whoever may publish: a number far ahead of a publisher's
// must not silence it.
func TestForgedID(t *testing.T) {
	n := newNode(t, nil)
	n.publish(t, "room", "0")
	n.flush(t)
	ch := program(t)
	send(t, ch, exchangeName(t), "room", amqp091.Publishing{
		AppId: "warren", MessageId: amqp.FormatID(n.Publisher(), math.MaxUint64-15), Body: []byte("1"),
	})
	for i := 2; i < 50; i++ {
		n.publish(t, "room", fmt.Sprint(i))
	}
	n.flush(t)
	n.wantNumbers(t, 50)
	if lost := n.Stats().Consume.Lost(); lost != 0 {
		t.Errorf("%d messages counted as lost", lost)
	}
}

// Headers that the AMQP library can't read end the link. The log says so, and
// the node attaches anew.
func TestUnreadableHeaders(t *testing.T) {
	n := newNode(t, func(o *amqp.Options) { o.ReconnectMin, o.ReconnectMax = time.Millisecond, 10*time.Millisecond })
	deep := amqp091.Table{}
	for range 40 {
		deep = amqp091.Table{"deeper": deep}
	}
	send(t, program(t), exchangeName(t), "room", amqp091.Publishing{Headers: deep, Body: []byte("poison")})
	eventually(t, func() error {
		if n.Stats().Consume.Gaps == 0 {
			return errors.New("no gap yet")
		}
		return nil
	})
	n.publish(t, "room", "0")
	n.flush(t)
	n.wantNumbers(t, 1)
	if len(n.logs.lines("nested over 32 deep")) == 0 {
		t.Errorf("the log doesn't say why:\n%s", n.logs)
	}
}
