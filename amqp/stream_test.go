package amqp_test

import (
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp"
	"warren/gateway"
)

func streamName(t *testing.T) string { return "stream." + t.Name() }

// streaming makes the node read the test's stream.
func streaming(t *testing.T, more ...func(*amqp.Options)) func(*amqp.Options) {
	return func(o *amqp.Options) {
		o.Delivery = amqp.DeliverStream
		o.Stream.Name = streamName(t)
		o.Stream.MaxBytes = 16 << 20
		for _, m := range more {
			m(o)
		}
	}
}

func named(name string) func(*amqp.Options) { return func(o *amqp.Options) { o.Node = name } }
func replaying(back time.Duration) func(*amqp.Options) {
	return func(o *amqp.Options) { o.Stream.Replay = back }
}

// All nodes are given the same messages under the same ids, in one order.
func TestStream(t *testing.T) {
	a := newNode(t, streaming(t, named("a")))
	b := newNode(t, streaming(t, named("b")))
	const each = 2000
	for i := range each {
		a.publishWait(t, "room", fmt.Sprint("a", i))
		b.publishWait(t, "hall", fmt.Sprint("b", i))
	}
	a.flush(t)
	b.flush(t)
	one, two := a.wait(t, 2*each), b.wait(t, 2*each)
	next := map[string]int{}
	for i, m := range one {
		if other := two[i]; m.ID != other.ID || string(m.Payload) != string(other.Payload) || m.Channel != other.Channel {
			t.Fatalf("message %d is %v %q for a, %v %q for b", i, m.ID, m.Payload, other.ID, other.Payload)
		}
		if i > 0 && m.ID.Offset <= one[i-1].ID.Offset || m.ID.IsZero() {
			t.Fatalf("id %v after %v", m.ID, one[i-1].ID)
		}
		who := m.Payload[:1]
		if want := fmt.Sprint(string(who), next[string(who)]); string(m.Payload) != want {
			t.Fatalf("%q instead of %q", m.Payload, want)
		}
		next[string(who)]++
	}
}

// The check of an id is what docs/delivery.md says.
func TestStreamID(t *testing.T) {
	n := newNode(t, streaming(t))
	p := program(t)
	send(t, p, exchangeName(t), "room", amqp091.Publishing{MessageId: "mine-1", Body: []byte("hello")})
	m := n.wait(t, 1)[0]
	if want := crc32.Checksum([]byte("mine-1\x00room\x00hello"), crc32.MakeTable(crc32.Castagnoli)); m.ID.Check != want {
		t.Errorf("check %08x, want %08x", m.ID.Check, want)
	}
}

// The gateway is told how far the stream was read, also by what no client gets:
// the node's marker, and what came before.
func TestStreamBlank(t *testing.T) {
	n := newNode(t, streaming(t))
	read := func() gateway.ID {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.read
	}
	last := read()
	if last.IsZero() {
		t.Fatal("ready, and nothing was read")
	}
	p := program(t)
	for i, id := range []string{"a", "a", "b"} {
		send(t, p, exchangeName(t), "room", amqp091.Publishing{MessageId: id, Body: []byte("hello")})
		eventually(t, func() error {
			if now := read(); now.Offset <= last.Offset {
				return fmt.Errorf("message %d: read up to %v", i, now)
			}
			return nil
		})
		last = read()
	}
	if got := n.wait(t, 2); len(got) != 2 || got[1].ID != last {
		t.Errorf("%d messages", len(got))
	}
}

// A node reads back as far as it is told before it is ready, and else begins
// with what comes next.
func TestStreamReplay(t *testing.T) {
	first := newNode(t, streaming(t, named("first")))
	for i := range 3000 {
		first.publishWait(t, "room", fmt.Sprint(i))
	}
	first.flush(t)
	back := newNode(t, streaming(t, named("back"), replaying(time.Hour)))
	if got := len(back.wait(t, 0)); got != 3000 {
		t.Errorf("ready after %d messages", got)
	}
	for _, m := range back.wait(t, 0) {
		if age := time.Since(m.At); m.At.IsZero() || age > timeout {
			t.Fatalf("replayed message of %v", m.At)
		}
	}
	next := newNode(t, streaming(t, named("next")))
	first.publish(t, "room", "3000")
	back.wantNumbers(t, 3001)
	if got := next.texts(t, 1); len(got) != 1 || got[0] != "3000" {
		t.Errorf("began with %q", got)
	}
}

// publishWait publishes, as soon as there is room.
func (n *node) publishWait(t *testing.T, channel, payload string) {
	t.Helper()
	m := gateway.Message{Channel: channel, Payload: []byte(payload), Text: true}
	for {
		err := n.Publish(m)
		if err == nil {
			return
		}
		if err != gateway.ErrBusy {
			t.Fatal(err)
		}
		select {
		case <-n.room:
		case <-time.After(timeout):
			t.Fatal("no room")
		}
	}
}
