package amqp_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp"
	"warren/gateway"
)

// What one node publishes reaches every node, itself included, unchanged and
// in order.
func TestRoundTrip(t *testing.T) {
	a, b := newNode(t, nil), newNode(t, nil)
	sent := []gateway.Message{
		{Channel: "room", Payload: []byte("héllo"), Text: true},
		{Channel: "room", Payload: []byte{0, 0xff}},
		{Channel: "", Payload: []byte("to root"), Text: true},
		{Channel: "no/such channel!", Payload: nil, Text: true},
		{Channel: strings.Repeat("x", 255), Payload: make([]byte, 200_000)},
	}
	for _, m := range sent {
		if err := a.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	for name, n := range map[string]*node{"itself": a, "the other": b} {
		for i, got := range n.wait(t, len(sent)) {
			want := sent[i]
			if got.Channel != want.Channel || string(got.Payload) != string(want.Payload) || got.Text != want.Text {
				t.Errorf("%s got as message %d %.40v, not %.40v", name, i, got, want)
			}
		}
	}
	a.flush(t)
	if s := a.Stats(); s.Publish.Confirmed != 5 || s.Publish.Window != 0 || s.Publish.WindowBytes != 0 || s.Consume.Lost() != 0 {
		t.Errorf("counters: %+v", s)
	}
	if err := a.Publish(gateway.Message{Channel: strings.Repeat("x", 256)}); err == nil {
		t.Error("a channel too long for a routing key was taken")
	}
}

// The properties of what clients send.
func TestMapping(t *testing.T) {
	n := newNode(t, nil)
	ch := program(t)
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
	before := time.Now().Truncate(time.Second)
	n.publish(t, "room", "one")
	for _, m := range []gateway.Message{
		{Payload: []byte("two")},
		{Payload: []byte("three"), Client: 42},
		{Payload: []byte("four"), Client: 43, User: "ann", Session: "secret", ClientID: "my id"},
	} {
		if err := n.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	const binary = "application/octet-stream"
	for i, want := range []struct {
		key, contentType, body string
		replyTo, correlation   string
		headers                amqp091.Table
	}{
		{"room", "text/plain; charset=utf-8", "one", "", "", nil},
		{"", binary, "two", "", "", nil},
		{"", binary, "three", n.queue(), "42", nil},
		{"", binary, "four", n.queue(), "43", amqp091.Table{
			"x-warren-user": "ann", "x-warren-session": "secret", "x-warren-client-id": "my id",
		}},
	} {
		d := <-got
		if d.RoutingKey != want.key || d.ContentType != want.contentType || string(d.Body) != want.body {
			t.Errorf("got %q %q %q, want %v", d.RoutingKey, d.ContentType, d.Body, want)
		}
		if d.AppId != "warren" || d.DeliveryMode != amqp091.Transient || d.Timestamp.Before(before) || d.Timestamp.After(time.Now()) {
			t.Errorf("app %q, delivery mode %d, timestamp %v", d.AppId, d.DeliveryMode, d.Timestamp)
		}
		if d.ReplyTo != want.replyTo || d.CorrelationId != want.correlation || !maps.Equal(d.Headers, want.headers) {
			t.Errorf("%s: reply to %q, correlation id %q, headers %v", d.Body, d.ReplyTo, d.CorrelationId, d.Headers)
		}
		if id := fmt.Sprintf("%s-%d", n.Publisher(), i+1); d.MessageId != id || !strings.HasPrefix(id, "test-node.1.") {
			t.Errorf("message id %q, want %q", d.MessageId, id)
		}
	}
}

// What other programs publish arrives as text or binary.
func TestForeignMessages(t *testing.T) {
	n := newNode(t, nil)
	ch := program(t)
	tests := []struct {
		contentType, body string
		text              bool
	}{
		{"", "plain", true},
		{"", "\xff", false},
		{"text/plain", "hé", true},
		{"TEXT/html; charset=utf-8", "<b>", true},
		{"text/plain", "h\xe9", false},
		{"text/", "no such type", false},
		{"application/json", "{}", true},
		{"Application/JSON ;charset=utf-8", "[]", true},
		{"application/json", "\x80", false},
		{"application/jsonl", "{}", false},
		{"application/octet-stream", "text though", false},
		{"image/png", "x", false},
		{"", "", true},
	}
	for _, test := range tests {
		send(t, ch, exchangeName(t), "room", amqp091.Publishing{ContentType: test.contentType, Body: []byte(test.body)})
	}
	for i, m := range n.wait(t, len(tests)) {
		test := tests[i]
		if m.Channel != "room" || string(m.Payload) != test.body || m.Text != test.text {
			t.Errorf("%q %q arrived as %+v", test.contentType, test.body, m)
		}
	}
}

// Ids seen before and messages sent straight to the queue are dropped and
// counted.
func TestDropped(t *testing.T) {
	n := newNode(t, nil)
	ch := program(t)
	to := func(id, body string) {
		t.Helper()
		send(t, ch, exchangeName(t), "room", amqp091.Publishing{MessageId: id, Body: []byte(body)})
	}
	to("a", "1")
	to("a", "again")
	for range 2 {
		send(t, ch, "", n.queue(), amqp091.Publishing{Body: []byte("straight")})
	}
	to("", "2")
	to("", "2")
	if got := n.texts(t, 3); fmt.Sprint(got) != "[1 2 2]" {
		t.Errorf("delivered %q", got)
	}
	s := n.Stats().Consume
	if s.Received != 6 || s.Delivered != 3 || s.Duplicates != 1 || s.Strange != 2 {
		t.Errorf("counters: %+v", s)
	}
	if l := n.logs.lines("sent straight"); len(l) != 1 {
		t.Errorf("logged %q", l)
	}
}

// Holes in a publisher's numbering are counted and logged.
func TestLossesAreCounted(t *testing.T) {
	n := makeNode(t, nil)
	n.SetReport(10 * time.Millisecond)
	n.start(t)
	n.waitReady(t)
	ch := program(t)
	for _, seq := range []uint64{7, 8, 12, 13, 10} {
		send(t, ch, exchangeName(t), "", amqp091.Publishing{AppId: "warren", MessageId: amqp.FormatID("other.0123456789ab", seq)})
	}
	n.wait(t, 5)
	if s := n.Stats().Consume; s.Holes != 3 || s.Filled != 1 || s.Lost() != 2 {
		t.Errorf("counters: %+v", s)
	}
	eventually(t, func() error {
		if len(n.announced()) == 0 {
			return errors.New("no gap announced")
		}
		return nil
	})
	// 3 if it was announced before the late one came.
	if gap := n.announced()[0]; !gap.Known || gap.Lost < 2 || gap.Lost > 3 || gap.Lasted != 0 {
		t.Errorf("announced %+v", gap)
	}
}

// A full window refuses messages, and Ready comes when there is room.
func TestWindow(t *testing.T) {
	p := newProxy(t)
	p.refuse()
	n := startNode(t, func(o *amqp.Options) { o.URLs, o.WindowMessages = []string{p.url()}, 100 })
	for i := range 100 {
		n.publish(t, "room", fmt.Sprint(i))
	}
	m := gateway.Message{Channel: "room", Payload: []byte("100"), Text: true}
	for range 3 {
		if err := n.Publish(m); !errors.Is(err, gateway.ErrBusy) {
			t.Fatalf("Publish to a full window: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.Flush(ctx); err == nil || !strings.Contains(err.Error(), "100 messages") {
		t.Errorf("Flush that can't: %v", err)
	}
	p.accept(t)
	select {
	case <-n.room:
	case <-time.After(timeout):
		t.Fatal("no Ready")
	}
	if err := n.Publish(m); err != nil {
		t.Fatal(err)
	}
	n.wantNumbers(t, 101)
	n.flush(t)
	if s := n.Stats().Publish; s.Taken != 101 || s.Refused != 3 || s.Confirmed != 101 || s.Resent != 0 {
		t.Errorf("counters: %+v", s)
	}
	if len(n.room) != 0 {
		t.Error("Ready came more than once")
	}
}

// The window is bounded in bytes too, but one message always fits.
func TestWindowBytes(t *testing.T) {
	n := makeNode(t, func(o *amqp.Options) { o.WindowBytes = 1000 })
	big := gateway.Message{Payload: make([]byte, 2000)}
	if err := n.Publish(big); err != nil {
		t.Fatal(err)
	}
	if err := n.Publish(gateway.Message{}); !errors.Is(err, gateway.ErrBusy) {
		t.Fatal(err)
	}
	if err := n.Status(); err == nil || err.Error() != "not started" {
		t.Errorf("status before Run: %v", err)
	}
	n.start(t)
	<-n.room
	n.wait(t, 1)
}
