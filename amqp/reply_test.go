package amqp_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp"
	"warren/gateway"
)

func publishing(app, id string, at time.Time) amqp091.Publishing {
	return amqp091.Publishing{AppId: app, MessageId: id, Timestamp: at}
}

// listening is a program that hears the test's exchange.
func listening(t *testing.T, ch *amqp091.Channel) <-chan amqp091.Delivery {
	t.Helper()
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(q.Name, "", exchangeName(t), false, nil); err != nil {
		t.Fatal(err)
	}
	got, err := ch.Consume(q.Name, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// split takes what was for one client from what was for all.
func split(got []gateway.Message) (direct, others []gateway.Message) {
	for _, m := range got {
		if m.Client != 0 {
			direct = append(direct, m)
		} else {
			others = append(others, m)
		}
	}
	return direct, others
}

// A program's answer reaches the one client that it is for, while traffic flows.
// That it has the request's message id is neither a duplicate nor a hole.
func TestReply(t *testing.T) {
	for name, mod := range deliveries(t) {
		t.Run(name, func(t *testing.T) {
			const requests = 300
			n := newNode(t, mod(t))
			other := newNode(t, func(o *amqp.Options) { mod(t)(o); o.Node = "other" })
			ch := program(t)
			heard := listening(t, ch)
			answered := make(chan error, 1)
			go func() {
				for range 2 * requests {
					d := <-heard
					if d.ReplyTo == "" {
						continue
					}
					p := amqp091.Publishing{
						CorrelationId: d.CorrelationId, MessageId: d.MessageId, AppId: "warren",
						ContentType: "text/plain", Body: append([]byte("to "), d.Body...),
					}
					if err := ch.Publish("", d.ReplyTo, true, false, p); err != nil {
						answered <- err
						return
					}
				}
				answered <- nil
			}()
			for i := range 2 * requests {
				m := gateway.Message{Channel: "room", Payload: fmt.Append(nil, i), Text: true}
				if i%2 == 1 {
					m.Client = gateway.ConnID(i)
				}
				if err := n.Publish(m); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
			direct, others := split(n.wait(t, 3*requests))
			if len(direct) != requests || len(others) != 2*requests {
				t.Fatalf("%d answers, %d others", len(direct), len(others))
			}
			for i, m := range direct {
				client := 2*i + 1
				id := amqp.FormatID(n.Publisher(), uint64(client+1))
				if m.Client != gateway.ConnID(client) || string(m.Payload) != fmt.Sprint("to ", client) || !m.Text ||
					m.MessageID.String() != id || m.Channel != "" || !m.ID.IsZero() {
					t.Errorf("answer %d: %+v", i, m)
				}
			}
			for i, m := range others {
				if string(m.Payload) != fmt.Sprint(i) {
					t.Fatalf("message %d is %q", i, m.Payload)
				}
			}
			s := n.Stats().Consume
			if s.Direct != requests || s.Delivered != 2*requests || s.Duplicates != 0 || s.Holes != 0 || s.Gaps != 0 || s.Strange != 0 {
				t.Errorf("counters: %+v", s)
			}
			if direct, _ := split(other.wait(t, 2*requests)); len(direct) > 0 {
				t.Errorf("the other node got %+v", direct)
			}
		})
	}
}

// Answers are taken as they are: again, binary, with a number of the node's own
// that was not used yet. What is for no client is dropped and counted.
func TestStraightToQueue(t *testing.T) {
	for name, mod := range deliveries(t) {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, mod(t))
			ch := program(t)
			const last = uint64(math.MaxUint64)
			to := func(correlation, id, body string) {
				t.Helper()
				send(t, ch, "", n.queue(), amqp091.Publishing{CorrelationId: correlation, AppId: "warren", MessageId: id, Body: []byte(body)})
			}
			ahead := amqp.FormatID(n.Publisher(), 100)
			unknown := []string{"", "0", "07", "-1", "seven", "18446744073709551616", n.Publisher()}
			for _, c := range unknown {
				to(c, "", "nobody's")
			}
			to("7", ahead, "one")
			to("7", ahead, "two")
			to(fmt.Sprint(last), "", "\xff")
			n.publish(t, "room", "three")
			direct, others := split(n.wait(t, 4))
			if len(direct) != 3 || len(others) != 1 {
				t.Fatalf("got %+v", n.wait(t, 4))
			}
			for i, want := range []gateway.Message{
				{Client: 7, Payload: []byte("one"), Text: true, MessageID: gateway.MessageID{Publisher: ahead}},
				{Client: 7, Payload: []byte("two"), Text: true, MessageID: gateway.MessageID{Publisher: ahead}},
				{Client: gateway.ConnID(last), Payload: []byte("\xff")},
			} {
				m := direct[i]
				if m.Client != want.Client || string(m.Payload) != string(want.Payload) || m.Text != want.Text || m.MessageID != want.MessageID {
					t.Errorf("answer %d: %+v", i, m)
				}
			}
			s := n.Stats().Consume
			if s.Strange != uint64(len(unknown)) || s.Direct != 3 || s.Delivered != 1 || s.Holes != 0 || s.Duplicates != 0 ||
				s.Received < uint64(len(unknown)+4) {
				t.Errorf("counters: %+v", s)
			}
			if l := n.logs.lines("sent straight"); len(l) != 1 {
				t.Errorf("logged %q", l)
			}
		})
	}
}

// What is published after the node's queue was lost asks for answers to its new
// one.
func TestReplyToFollowsQueue(t *testing.T) {
	p := newProxy(t)
	n := newNode(t, func(o *amqp.Options) {
		o.URLs, o.ReconnectMin, o.ReconnectMax = []string{p.url()}, 10*time.Millisecond, 50*time.Millisecond
	})
	heard := listening(t, program(t))
	queues := map[string]bool{}
	for i := range 3 {
		if err := n.Publish(gateway.Message{Client: 7, Payload: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
		select {
		case d := <-heard:
			if d.ReplyTo != n.queue() || queues[d.ReplyTo] || string(d.Body) != fmt.Sprint(i) {
				t.Errorf("%s: reply to %q, the node's queue is %q", d.Body, d.ReplyTo, n.queue())
			}
			queues[d.ReplyTo] = true
		case <-time.After(timeout):
			t.Fatal("nothing heard")
		}
		n.flush(t)
		p.leave(t, n)
		p.accept(t)
	}
}

// A message for one client waits for nobody else's: not while the gateway
// holds, and not for more than fits in a prefetch.
func TestReplyWhileHeld(t *testing.T) {
	for name, mod := range deliveries(t) {
		t.Run(name, func(t *testing.T) {
			const answers = 30
			n := newNode(t, func(o *amqp.Options) { mod(t)(o); o.Prefetch = 5 })
			n.hold()
			if name == "stream" { // in a queue they would be in front
				n.publish(t, "room", "0")
				n.publish(t, "room", "1")
				n.flush(t)
				eventually(t, func() error {
					if n.Stats().Consume.Holds == 0 {
						return errors.New("not holding")
					}
					return nil
				})
			}
			ch := program(t)
			for i := range answers {
				send(t, ch, "", n.queue(), amqp091.Publishing{CorrelationId: "7", Body: fmt.Append(nil, i)})
			}
			direct, others := split(n.wait(t, answers))
			if len(direct) != answers || len(others) > 0 {
				t.Fatalf("%d answers, %d others", len(direct), len(others))
			}
			if name == "queue" {
				n.publish(t, "room", "0")
				n.publish(t, "room", "1")
			}
			n.release()
			if _, others = split(n.wait(t, answers+2)); len(others) != 2 || string(others[0].Payload) != "0" {
				t.Errorf("then came %+v", others)
			}
		})
	}
}
