package amqp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"warren/amqp"
	"warren/gateway"
)

// settling is what was settled of messages that the test numbers.
type settling struct {
	mu   sync.Mutex
	done []settled // in their order
}

type settled struct {
	number int
	id     gateway.MessageID
	err    error
}

// one is to be called for message number i.
func (s *settling) one(i int) func(gateway.MessageID, error) {
	return func(id gateway.MessageID, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.done = append(s.done, settled{i, id, err})
	}
}

func (s *settling) all() []settled {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.done)
}

func (s *settling) wait(t *testing.T, n int) []settled {
	t.Helper()
	eventually(t, func() error {
		if got := len(s.all()); got < n {
			return fmt.Errorf("%d of %d are settled", got, n)
		}
		return nil
	})
	return s.all()
}

// publishAsking publishes number i and asks for its fate.
func (n *node) publishAsking(t *testing.T, s *settling, i int) {
	t.Helper()
	m := gateway.Message{Channel: "room", Payload: fmt.Append(nil, i), Text: true, Settled: s.one(i)}
	if err := n.Publish(m); err != nil {
		t.Fatal(err)
	}
}

// Whatever happens to RabbitMQ, a message is settled once, when it has confirmed
// it and not before, and under the id that it is delivered by.
func TestSettled(t *testing.T) {
	for name, mod := range deliveries(t) {
		t.Run(name, func(t *testing.T) { testSettled(t, newNode(t, mod(t))) })
	}
}

func testSettled(t *testing.T, n *node) {
	var s settling
	total := 0
	publish := func(until int) {
		t.Helper()
		for ; total < until; total++ {
			n.publishAsking(t, &s, total)
		}
	}
	publish(50)
	s.wait(t, 50)
	n.wait(t, 50)

	ctl(t, "set_vm_memory_high_watermark", "0.0000001")
	t.Cleanup(func() { ctl(t, "set_vm_memory_high_watermark", "0.4") })
	publish(51) // the one that shows the alarm may still get in
	eventually(t, func() error {
		if !n.Stats().Publish.Blocked {
			return errors.New("not blocked")
		}
		return nil
	})
	publish(100)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := n.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("confirmed while blocked: %v", err)
	}
	if got := len(s.all()); got > 51 {
		t.Errorf("%d are settled, though no more than 51 were sent", got)
	}
	revive := killed(t) // a restarted broker's limit is the configured one again
	publish(200)
	n.waitNotReady(t)
	publish(300)
	if got := len(s.all()); got > 51 {
		t.Errorf("%d are settled by a dead broker", got)
	}
	revive()
	s.wait(t, 300)
	// In queue delivery the one that showed the alarm may have died with the queue.
	n.wait(t, 299)

	publish(1000)
	killed(t)() // some were sent and not confirmed
	s.wait(t, 1000)
	delivered := map[gateway.MessageID]string{}
	for _, m := range n.wait(t, 299) {
		delivered[m.MessageID] = string(m.Payload)
	}
	n.stop() // from now on nothing is settled
	got := s.all()
	if len(got) != total {
		t.Fatalf("%d settled of %d", len(got), total)
	}
	for i, one := range got {
		if want := (gateway.MessageID{Publisher: n.Publisher(), Seq: uint64(i + 1)}); one.number != i || one.id != want || one.err != nil {
			t.Fatalf("settled as number %d: %+v", i, one)
		}
		if as, ok := delivered[one.id]; ok && as != fmt.Sprint(i) {
			t.Fatalf("%v was delivered as %q", one.id, as)
		}
	}
}

// What Publish refuses is not settled, nor what is left when Run ends.
func TestNotSettled(t *testing.T) {
	p := newProxy(t)
	p.refuse()
	n := startNode(t, func(o *amqp.Options) { o.URLs, o.WindowMessages = []string{p.url()}, 2 })
	var s settling
	n.publishAsking(t, &s, 0)
	n.publishAsking(t, &s, 1)
	if err := n.Publish(gateway.Message{Settled: s.one(2)}); !errors.Is(err, gateway.ErrBusy) {
		t.Fatalf("Publish to a full window: %v", err)
	}
	p.accept(t)
	s.wait(t, 2)
	n.flush(t)
	<-n.room
	p.leave(t, n)
	n.publishAsking(t, &s, 3)
	n.stop()
	if got := s.all(); len(got) != 2 || got[0].number != 0 || got[1].number != 1 {
		t.Errorf("settled: %+v", got)
	}
}

// What RabbitMQ will not take is settled with the reason; the others are as ever,
// and the node's queue stays.
func TestRefusedIsSettled(t *testing.T) {
	n := newNode(t, func(o *amqp.Options) { o.ReconnectMin, o.ReconnectMax = time.Millisecond, 10*time.Millisecond })
	var s settling
	tooLarge := func(i int) bool { return i%8 == 4 }
	for i := range 40 {
		if !tooLarge(i) {
			n.publishAsking(t, &s, i)
			continue
		}
		if err := n.Publish(gateway.Message{Channel: "room", Payload: make([]byte, maxMessage+1), Settled: s.one(i)}); err != nil {
			t.Fatal(err)
		}
	}
	n.flush(t)
	s.wait(t, 40)
	n.stop()
	got := s.all()
	if len(got) != 40 {
		t.Fatalf("%d settled", len(got))
	}
	for i, one := range got {
		if one.number != i || one.id.Seq != uint64(i+1) {
			t.Errorf("settled as number %d: %+v", i, one)
		}
		if !tooLarge(i) && one.err != nil {
			t.Errorf("%d: %v", i, one.err)
		}
		if tooLarge(i) && (one.err == nil || !strings.Contains(one.err.Error(), "RabbitMQ will not take the message") ||
			!strings.Contains(one.err.Error(), "message size")) {
			t.Errorf("%d, which is too large: %v", i, one.err)
		}
	}
	if s := n.Stats(); s.Consume.Attaching != 1 || s.Publish.Returned != 0 || s.Publish.Rejected != 5 {
		t.Errorf("counters: %+v", s)
	}
}

// Deliveries say who published them when, and under which number.
func TestMessageIDs(t *testing.T) {
	n := newNode(t, nil)
	ch := program(t)
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	n.publish(t, "room", "own")
	n.flush(t)
	send(t, ch, exchangeName(t), "room", publishing("warren", "other.0123456789ab-7", at))
	send(t, ch, exchangeName(t), "room", publishing("mine", "other.0123456789ab-7", at))
	send(t, ch, exchangeName(t), "room", publishing("warren", "odd", at))
	send(t, ch, exchangeName(t), "room", publishing("mine", "", time.Time{}))
	got := n.wait(t, 5)
	for i, want := range []gateway.MessageID{
		{Publisher: n.Publisher(), Seq: 1},
		{Publisher: "other.0123456789ab", Seq: 7},
		{Publisher: "other.0123456789ab-7"},
		{Publisher: "odd"},
		{},
	} {
		m := got[i]
		if m.MessageID != want {
			t.Errorf("message %d is %+v, want %+v", i, m.MessageID, want)
		}
		switch age := time.Since(m.At); {
		case i == 0 && (age < 0 || age > timeout):
			t.Errorf("message of %v", m.At)
		case i == 4 && !m.At.IsZero():
			t.Errorf("a message without a time is of %v", m.At)
		case i > 0 && i < 4 && !m.At.Equal(at):
			t.Errorf("message %d is of %v, want %v", i, m.At, at)
		}
	}
}
