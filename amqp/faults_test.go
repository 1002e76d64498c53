package amqp_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"warren/amqp"
	"warren/gateway"
)

// killed kills the broker for the caller, who starts it again with revive,
// which also happens at the test's end.
func killed(t *testing.T) (revive func()) {
	t.Helper()
	if err := broker(t).Kill(); err != nil {
		t.Fatal(err)
	}
	dead := true
	revive = func() {
		if !dead {
			return
		}
		dead = false
		ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
		defer cancel()
		if err := broker(t).Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(revive)
	return revive
}

func (n *node) waitNotReady(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		if n.Status() == nil {
			return errors.New("the node says it is linked")
		}
		return nil
	})
}

// What the node's clients send while RabbitMQ is away waits and comes back to
// them once, in order.
func TestBrokerKilled(t *testing.T) {
	n := newNode(t, nil)
	for i := range 100 {
		n.publish(t, "room", fmt.Sprint(i))
	}
	n.flush(t)
	n.wantNumbers(t, 100)

	revive := killed(t)
	for i := 100; i < 1000; i++ {
		n.publish(t, "room", fmt.Sprint(i)) // some before it is noticed
	}
	n.waitNotReady(t)
	for i := 1000; i < 2000; i++ {
		n.publish(t, "room", fmt.Sprint(i))
	}
	eventually(t, func() error {
		if s := fmt.Sprint(n.Status()); !strings.Contains(s, broker(t).Addr()) || !strings.Contains(s, "connection refused") ||
			!strings.Contains(s, "next try in") {
			return fmt.Errorf("status: %q", s)
		}
		return nil
	})
	revive()
	n.waitReady(t)
	n.flush(t)
	n.wantNumbers(t, 2000)
	if got := len(n.wait(t, 2000)); got != 2000 {
		t.Errorf("%d messages instead of 2000", got)
	}
	s := n.Stats()
	if s.Consume.Gaps != 1 || s.Consume.GapTime <= 0 || s.Consume.Lost() != 0 {
		t.Errorf("counters: %+v", s.Consume)
	}
	for _, line := range []string{"lost the link", "connection refused"} {
		if l := n.logs.lines(line); len(l) != 1 {
			t.Errorf("lines with %q: %q", line, l)
		}
	}
	if gaps := n.announced(); len(gaps) != 1 || gaps[0].Lasted <= 0 {
		t.Errorf("gaps announced: %+v", gaps)
	}
	if l := n.logs.lines("attached to RabbitMQ"); len(l) != 2 {
		t.Errorf("attached: %q", l)
	}
}

// Under traffic a kill may cost what was between broker and node, and no
// more: nothing comes twice or out of order, and the holes are counted.
func TestBrokerKilledUnderTraffic(t *testing.T) {
	n := newNode(t, nil)
	ctx, stop := context.WithCancel(context.Background())
	sent := make(chan int)
	go func() {
		i := 0
		defer func() { sent <- i }()
		for ctx.Err() == nil {
			m := gateway.Message{Channel: "room", Payload: strconv.AppendInt(nil, int64(i), 10), Text: true}
			switch err := n.Publish(m); {
			case err == nil:
				i++
			case errors.Is(err, gateway.ErrBusy):
				select {
				case <-n.room:
				case <-ctx.Done():
				}
			default:
				t.Error(err)
				return
			}
		}
	}()
	for range 3 {
		n.wait(t, len(n.wait(t, 0))+5000)
		killed(t)()
		n.waitReady(t)
	}
	n.wait(t, len(n.wait(t, 0))+5000)
	stop()
	total := <-sent
	n.flush(t)
	n.publish(t, "room", fmt.Sprint(total)) // the last comes last
	eventually(t, func() error {
		all := n.wait(t, 1)
		if last := string(all[len(all)-1].Payload); last != fmt.Sprint(total) {
			return fmt.Errorf("last message is %s of %d", last, total)
		}
		return nil
	})
	next, missing := 0, 0
	for _, s := range n.texts(t, 0) {
		i, err := strconv.Atoi(s)
		if err != nil || i < next {
			t.Fatalf("%q after %d", s, next-1)
		}
		missing += i - next
		next = i + 1
	}
	s := n.Stats()
	if s.Consume.Lost() != uint64(missing) {
		t.Errorf("%d missing of %d, %d counted", missing, total, s.Consume.Lost())
	}
	if s.Consume.Gaps != 3 {
		t.Errorf("%d gaps", s.Consume.Gaps)
	}
	t.Logf("%d sent, %d missing, %d resent, %d duplicates", total, missing, s.Publish.Resent, s.Consume.Duplicates)
}

// A lost publishing link is no gap.
func TestPublishingLinkCut(t *testing.T) {
	p := newProxy(t)
	n := newNode(t, func(o *amqp.Options) { o.URLs = []string{p.url()} })
	const total = 3000
	for i := range total {
		n.publish(t, "room", fmt.Sprint(i))
		if i == total/2 {
			n.wait(t, 100)
			p.cut(1)
		}
	}
	n.flush(t)
	n.wantNumbers(t, total)
	if s := n.Stats().Consume; s.Gaps != 0 || s.Attaching != 1 || s.Lost() != 0 {
		t.Errorf("counters: %+v", s)
	}
	eventually(t, func() error {
		if l := n.logs.lines("publishing to RabbitMQ again"); len(l) != 1 {
			return fmt.Errorf("logged %q", n.logs)
		}
		return nil
	})
}

// While the node's own queue is away nothing is published.
func TestConsumingLinkCut(t *testing.T) {
	p := newProxy(t)
	n := newNode(t, func(o *amqp.Options) { o.URLs = []string{p.url()} })
	n.publish(t, "room", "0")
	n.flush(t)
	n.wait(t, 1)
	p.refuse()
	p.cut(0)
	n.waitNotReady(t)
	for i := 1; i < 100; i++ {
		n.publish(t, "room", fmt.Sprint(i))
	}
	p.accept(t)
	n.flush(t)
	n.wantNumbers(t, 100)
	if s := n.Stats().Consume; s.Gaps != 1 || s.Lost() != 0 {
		t.Errorf("counters: %+v", s)
	}
}

// Confirms that stay away drop the link; what was sent is sent again.
func TestConfirmTimeout(t *testing.T) {
	p := newProxy(t)
	n := newNode(t, func(o *amqp.Options) { o.URLs, o.ConfirmTimeout = []string{p.url()}, 500*time.Millisecond })
	p.deafen(1)
	for i := range 10 {
		n.publish(t, "room", fmt.Sprint(i))
	}
	n.flush(t)
	n.wantNumbers(t, 10)
	if s := n.Stats(); s.Publish.Timeouts == 0 || s.Consume.Gaps != 0 {
		t.Errorf("counters: %+v", s)
	}
}

// If the exchange or the binding is gone, publishing shows it, and the node
// makes them anew.
func TestExchangeDeleted(t *testing.T) {
	n := newNode(t, nil)
	ch := program(t)
	n.publish(t, "room", "0")
	n.flush(t)
	if err := ch.ExchangeDelete(exchangeName(t), false, false); err != nil {
		t.Fatal(err)
	}
	n.publish(t, "room", "1")
	n.flush(t)
	if err := ch.ExchangeDelete(exchangeName(t), false, false); err != nil {
		t.Fatal(err)
	}
	if err := ch.ExchangeDeclare(exchangeName(t), "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	n.publish(t, "room", "2") // returned: no queue is bound
	n.publish(t, "room", "3")
	n.flush(t)
	n.wantNumbers(t, 4)
	if s := n.Stats(); s.Publish.Returned != 1 || s.Consume.Gaps != 2 {
		t.Errorf("counters: %+v", s)
	}
}

// A message that RabbitMQ doesn't want doesn't stop the others.
func TestMessageTooLargeForBroker(t *testing.T) {
	n := newNode(t, func(o *amqp.Options) { o.ReconnectMin, o.ReconnectMax = time.Millisecond, 10*time.Millisecond })
	for i := range 20 {
		n.publish(t, "room", fmt.Sprint(i))
	}
	if err := n.Publish(gateway.Message{Channel: "room", Payload: make([]byte, maxMessage+1)}); err != nil {
		t.Fatal(err)
	}
	for i := 20; i < 40; i++ {
		n.publish(t, "room", fmt.Sprint(i))
	}
	n.flush(t)
	n.wantNumbers(t, 40)
	if s := n.Stats(); s.Publish.Rejected != 1 || s.Publish.Confirmed != 40 || s.Consume.Holes != 1 {
		t.Errorf("counters: %+v", s)
	}
}

// A memory alarm makes publishers wait; it neither makes the node unready nor
// keeps it from stopping.
func TestAlarm(t *testing.T) {
	n, other := newNode(t, func(o *amqp.Options) { o.ConfirmTimeout = 2 * time.Second }), newNode(t, nil)
	t.Cleanup(func() { ctl(t, "set_vm_memory_high_watermark", "0.4") })
	ctl(t, "set_vm_memory_high_watermark", "0.0000001")
	for i := range 200 {
		n.publish(t, "room", fmt.Sprint(i))
		other.publish(t, "room", "other")
	}
	blocked := func(n *node) {
		eventually(t, func() error {
			if s := n.Stats().Publish; !s.Blocked {
				return fmt.Errorf("not blocked: %+v", s)
			}
			return nil
		})
	}
	blocked(n)
	blocked(other)
	// Longer than the confirm timeout, which must not count now.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := n.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("confirmed while blocked: %v", err)
	}
	if err := n.Status(); err != nil {
		t.Errorf("blocked, but also unready: %v", err)
	}
	other.stop()
	if s := n.Stats(); s.Publish.Timeouts != 0 || s.Publish.Resent != 0 {
		t.Errorf("counters: %+v", s)
	}
	ctl(t, "set_vm_memory_high_watermark", "0.4")
	n.flush(t)
	numbers := 0
	for _, s := range n.texts(t, 200) {
		if s == fmt.Sprint(numbers) {
			numbers++
		}
	}
	if numbers != 200 {
		t.Errorf("%d of 200 in order", numbers)
	}
	for _, line := range []string{"blocks publishers", "takes messages again"} {
		if l := n.logs.lines(line); len(l) != 1 {
			t.Errorf("lines with %q: %q", line, l)
		}
	}
}

// A frozen RabbitMQ doesn't keep Run from ending, even with a write stuck.
func TestFrozenBroker(t *testing.T) {
	n := newNode(t, nil)
	n.publish(t, "room", "the first goes alone")
	n.flush(t)
	if err := broker(t).Freeze(); err != nil {
		t.Fatal(err)
	}
	defer broker(t).Thaw()
	// More than the sockets' buffers take.
	payload := make([]byte, maxMessage-1)
	for n.Publish(gateway.Message{Payload: payload}) == nil {
	}
	began := time.Now()
	n.stop()
	if took := time.Since(began); took > 8*time.Second { // a write's deadline is 10 s
		t.Errorf("Run ended only after %v", took)
	}
	if err := n.Status(); err == nil || err.Error() != "stopped" {
		t.Errorf("status: %v", err)
	}
}

// A frozen RabbitMQ is noticed by its silence.
func TestFrozenBrokerIsNoticed(t *testing.T) {
	n := newNode(t, func(o *amqp.Options) { o.Heartbeat = time.Second })
	if err := broker(t).Freeze(); err != nil {
		t.Fatal(err)
	}
	n.publish(t, "room", "0")
	n.waitNotReady(t)
	n.publish(t, "room", "1")
	if err := broker(t).Thaw(); err != nil {
		t.Fatal(err)
	}
	n.waitReady(t)
	n.flush(t)
	n.wantNumbers(t, 2)
}

// While the gateway holds, nothing is delivered and RabbitMQ's sending stops
// at the prefetch; afterwards everything comes and is acknowledged.
func TestHoldAndAcks(t *testing.T) {
	n := newNode(t, func(o *amqp.Options) { o.Prefetch = 10 })
	n.hold()
	for i := range 52 { // no multiple of the batch of acks
		n.publish(t, "room", fmt.Sprint(i))
	}
	n.flush(t)
	counts := func(want string) {
		t.Helper()
		_, queue, _ := strings.Cut(n.logs.lines("attached to RabbitMQ")[0], "queue=")
		eventually(t, func() error {
			out := ctl(t, "list_queues", "name", "messages_ready", "messages_unacknowledged")
			for line := range strings.Lines(out) {
				if f := strings.Fields(line); len(f) == 3 && f[0] == strings.TrimSpace(queue) {
					if got := f[1] + " " + f[2]; got != want {
						return fmt.Errorf("ready and unacknowledged: %s, want %s", got, want)
					}
					return nil
				}
			}
			return fmt.Errorf("no queue %q in %q", queue, out)
		})
	}
	counts("42 10")
	if got := n.texts(t, 0); len(got) != 0 {
		t.Errorf("delivered while held: %q", got)
	}
	n.release()
	n.wantNumbers(t, 52)
	counts("0 0")
	if s := n.Stats().Consume; s.Holds != 1 || s.HoldTime <= 0 || s.HeldOver != 0 {
		t.Errorf("counters: %+v", s)
	}
}

// A hold that lasts too long is overridden.
func TestHoldHasALimit(t *testing.T) {
	n := makeNode(t, nil)
	n.SetMaxHold(50 * time.Millisecond)
	n.hold()
	n.start(t)
	for i := range 50 {
		n.publish(t, "room", fmt.Sprint(i))
	}
	n.wantNumbers(t, 50)
	if s := n.Stats().Consume; s.HeldOver != 1 {
		t.Errorf("counters: %+v", s)
	}
}

// A node that is held stops in time, and notices a lost link.
func TestHoldStaysResponsive(t *testing.T) {
	p := newProxy(t)
	n := newNode(t, func(o *amqp.Options) { o.URLs = []string{p.url()} })
	n.hold()
	n.publish(t, "room", "0")
	eventually(t, func() error {
		if n.Stats().Consume.Holds == 0 {
			return errors.New("not holding")
		}
		return nil
	})
	p.cut(0)
	eventually(t, func() error {
		if n.Stats().Consume.Gaps == 0 {
			return errors.New("the lost link was not noticed")
		}
		return nil
	})
	n.publish(t, "room", "1")
	eventually(t, func() error {
		if n.Stats().Consume.Holds < 2 {
			return errors.New("not holding")
		}
		return nil
	})
	n.stop()
	if got := n.texts(t, 0); len(got) != 0 {
		t.Errorf("delivered while held: %q", got)
	}
}

// A consumer that RabbitMQ cancels attaches anew.
func TestQueueDeleted(t *testing.T) {
	n := newNode(t, nil)
	_, queue, _ := strings.Cut(n.logs.lines("attached to RabbitMQ")[0], "queue=")
	ctl(t, "delete_queue", strings.TrimSpace(queue))
	eventually(t, func() error {
		if n.Stats().Consume.Gaps == 0 {
			return errors.New("the deleted queue was not noticed")
		}
		return nil
	})
	n.publish(t, "room", "0")
	n.wantNumbers(t, 1)
}
