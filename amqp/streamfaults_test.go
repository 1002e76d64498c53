package amqp_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp"
	"warren/gateway"
)

// Whatever is killed, every node gets every message once, all in one order.
func TestStreamBrokerKilled(t *testing.T) {
	quick := func(o *amqp.Options) { o.ReconnectMax = 500 * time.Millisecond }
	a := newNode(t, streaming(t, named("a"), quick))
	b := newNode(t, streaming(t, named("b"), quick))
	var senders sync.WaitGroup
	stop := make(chan struct{})
	sent := make([]int, 2)
	for k, n := range []*node{a, b} {
		senders.Go(func() {
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; {
				select {
				case <-tick.C:
				case <-stop:
					sent[k] = i
					return
				}
				m := gateway.Message{Channel: strconv.Itoa(k), Payload: strconv.AppendInt(nil, int64(i), 10), Text: true}
				switch err := n.Publish(m); {
				case err == nil:
					i++
				case !errors.Is(err, gateway.ErrBusy):
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3 {
		a.wait(t, len(a.wait(t, 0))+500)
		killed(t)()
		a.waitReady(t)
		b.waitReady(t)
	}
	a.wait(t, len(a.wait(t, 0))+500)
	close(stop)
	senders.Wait()
	a.flush(t)
	b.flush(t)
	total := sent[0] + sent[1]
	one, two := a.wait(t, total), b.wait(t, total)
	if len(one) != total || len(two) != total {
		t.Errorf("%d and %d messages of %d", len(one), len(two), total)
	}
	next := map[string]int{}
	for i, m := range one {
		if m.ID != two[i].ID || string(m.Payload) != string(two[i].Payload) {
			t.Fatalf("message %d: %v for a, %v for b", i, m.ID, two[i].ID)
		}
		if string(m.Payload) != fmt.Sprint(next[m.Channel]) {
			t.Fatalf("%s: %s instead of %d", m.Channel, m.Payload, next[m.Channel])
		}
		next[m.Channel]++
	}
	for _, n := range []*node{a, b} {
		if gaps := n.announced(); len(gaps) > 0 {
			t.Errorf("gaps: %+v", gaps)
		}
		s := n.Stats()
		t.Logf("%d messages, %d resent, %d duplicates, %d returned", total, s.Publish.Resent, s.Consume.Duplicates, s.Publish.Returned)
	}
}

// away is a node whose link to RabbitMQ the test holds, and another that
// publishes meanwhile.
func away(t *testing.T, more ...func(*amqp.Options)) (p *proxy, n, other *node) {
	t.Helper()
	p = newProxy(t)
	quick := func(o *amqp.Options) { o.ReconnectMin, o.ReconnectMax = 10*time.Millisecond, 50*time.Millisecond }
	n = newNode(t, streaming(t, append(more, named("away"), quick, func(o *amqp.Options) { o.URLs = []string{p.url()} })...))
	other = newNode(t, streaming(t, append(more, named("other"), quick)...))
	return p, n, other
}

func (p *proxy) leave(t *testing.T, n *node) {
	t.Helper()
	p.refuse()
	p.cut(-1)
	n.waitNotReady(t)
}

// What is published while a node has no link waits for it in the stream.
func TestStreamLinkAway(t *testing.T) {
	p, n, other := away(t)
	for i := range 5 {
		other.publish(t, "room", fmt.Sprint(2*i))
		other.flush(t)
		n.wait(t, 2*i+1)
		p.leave(t, n)
		other.publish(t, "room", fmt.Sprint(2*i+1))
		other.flush(t)
		p.accept(t)
		n.waitReady(t)
	}
	n.wantNumbers(t, 10)
	if gaps := n.announced(); len(gaps) > 0 || n.Stats().Consume.Gaps > 0 {
		t.Errorf("gaps: %+v", gaps)
	}
}

// If retention took what a node has not read, it says so and goes on with
// what is left.
func TestStreamRetention(t *testing.T) {
	p, n, other := away(t, func(o *amqp.Options) { o.Stream.MaxBytes = 2 << 20 }) // segments of 1 MiB
	const size = 100_000
	big := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("x", size)) }
	other.publish(t, "room", big(0))
	other.flush(t)
	n.wait(t, 1)
	p.leave(t, n)
	const total = 60
	for i := 1; i < total; i++ {
		other.publishWait(t, "room", big(i))
		other.flush(t) // else retention, which looks at each segment's end, is late
	}
	p.accept(t)
	n.waitReady(t)
	gaps := n.announced()
	if len(gaps) != 1 || gaps[0].Lasted <= 0 || !strings.Contains(gaps[0].Reason, "retention") {
		t.Errorf("gaps: %+v", gaps)
	}
	got := n.wait(t, 2)
	first, _, _ := strings.Cut(string(got[1].Payload), " ")
	oldest, err := strconv.Atoi(first)
	if err != nil || oldest < 2 || len(got) != 1+total-oldest {
		t.Fatalf("%d messages after the gap, from %q", len(got)-1, first)
	}
	for i, m := range got[1:] {
		if !strings.HasPrefix(string(m.Payload), fmt.Sprint(oldest+i, " ")) {
			t.Fatalf("message %d after the gap is %.10s", i, m.Payload)
		}
	}
	if lost := n.Stats().Consume.Lost(); lost != uint64(oldest-1) {
		t.Errorf("%d holes, want %d", lost, oldest-1)
	}
}

// A stream that was deleted and made anew is another one: what is new in it
// is delivered, behind a gap, be it shorter or longer than what was read.
func TestStreamMadeAnew(t *testing.T) {
	for name, test := range map[string]struct{ before, after int }{
		"shorter": {20, 5},
		"longer":  {5, 20},
		"empty":   {20, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, n, other := away(t)
			for i := range test.before {
				other.publish(t, "room", fmt.Sprint(i))
			}
			other.flush(t)
			n.wait(t, test.before)
			p.leave(t, n)
			if _, err := program(t).QueueDelete(streamName(t), false, false, false); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error {
				if len(other.announced()) == 0 && other.Status() == nil {
					return errors.New("the deletion went unnoticed")
				}
				return nil
			})
			other.waitReady(t)
			for i := range test.after {
				other.publish(t, "room", fmt.Sprint(test.before+i))
			}
			other.flush(t)
			p.accept(t)
			n.waitReady(t)
			other.publish(t, "room", fmt.Sprint(test.before+test.after))
			n.wantNumbers(t, test.before+test.after+1)
			other.wantNumbers(t, test.before+test.after+1)
			for _, n := range []*node{n, other} {
				if gaps := n.announced(); len(gaps) != 1 || !strings.Contains(gaps[0].Reason, "made anew") {
					t.Errorf("gaps: %+v", gaps)
				}
			}
		})
	}
}

// A message that the AMQP library can't read stays in the stream. It costs
// that message and no other.
func TestStreamUnreadable(t *testing.T) {
	n := newNode(t, streaming(t, func(o *amqp.Options) {
		o.ReconnectMin, o.ReconnectMax = time.Millisecond, 10*time.Millisecond
	}))
	many := amqp091.Table{} // RabbitMQ leaves nested ones out of a stream
	for i := range 9000 {
		many[strconv.Itoa(i)] = true
	}
	ch := program(t)
	for i := range 200 {
		send(t, ch, exchangeName(t), "room", amqp091.Publishing{Body: strconv.AppendInt(nil, int64(i), 10)})
		if i%50 == 25 {
			send(t, ch, exchangeName(t), "room", amqp091.Publishing{Headers: many, Body: []byte("poison")})
		}
	}
	n.wantNumbers(t, 200)
	if gaps := n.announced(); len(gaps) != 4 || !strings.Contains(gaps[0].Reason, "nested over 32 deep") {
		t.Errorf("gaps: %+v", gaps)
	}
	n.waitReady(t)
}

// What is sent straight to the stream isn't on the exchange.
func TestStreamDirect(t *testing.T) {
	n := newNode(t, streaming(t))
	ch := program(t)
	send(t, ch, "", streamName(t), amqp091.Publishing{Body: []byte("straight")})
	send(t, ch, exchangeName(t), "room", amqp091.Publishing{Body: []byte("0")})
	n.wantNumbers(t, 1)
	if s := n.Stats().Consume; s.Strange != 1 || s.Delivered != 1 {
		t.Errorf("counters: %+v", s)
	}
	if l := n.logs.lines("sent straight"); len(l) != 1 {
		t.Errorf("logged %q", l)
	}
}
