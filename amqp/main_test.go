package amqp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"warren/amqp"
	"warren/amqp/amqptest"
	"warren/gateway"
)

// maxMessage is what the broker takes at most, in bytes.
const maxMessage = 300_000

// started is the broker, once a test has asked for it.
var started = sync.OnceValues(func() (*amqptest.Server, error) {
	running = true
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	return amqptest.Start(ctx, "", amqptest.Options{TLS: true, Config: fmt.Sprintln("max_message_size =", maxMessage)})
})

var running bool

// broker serves all tests, each with exchanges of its own. A test that harms
// it mends it again.
func broker(t testing.TB) *amqptest.Server {
	t.Helper()
	b, err := started()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMain(m *testing.M) {
	code := m.Run()
	if running {
		if b, err := started(); err == nil && b.Close() != nil {
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// timeout bounds every wait: reached only when something is broken.
const timeout = time.Minute

// node is an Exchange that runs until the test ends, and what it delivers.
type node struct {
	*amqp.Exchange
	*receiver
	logs *logBuffer
	stop func() // returns when Run has
}

// newNode runs an Exchange on an exchange named after the test, and waits
// until it is linked. mod changes the options first.
func newNode(t *testing.T, mod func(*amqp.Options)) *node {
	t.Helper()
	n := startNode(t, mod)
	n.waitReady(t)
	return n
}

func startNode(t *testing.T, mod func(*amqp.Options)) *node {
	t.Helper()
	n := makeNode(t, mod)
	n.start(t)
	return n
}

func makeNode(t *testing.T, mod func(*amqp.Options)) *node {
	t.Helper()
	n := &node{receiver: newReceiver(), logs: &logBuffer{}}
	o := amqp.Options{
		URLs:     []string{broker(t).URL()},
		Exchange: exchangeName(t),
		Node:     "test-node.1",
		Logger:   slog.New(slog.NewTextHandler(n.logs, nil)),
	}
	if mod != nil {
		mod(&o)
	}
	var err error
	if n.Exchange, err = amqp.New(o); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) start(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, n.receiver) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run returned %v", err)
			}
		case <-time.After(timeout):
			t.Error("Run didn't end")
		}
		if t.Failed() {
			t.Logf("log of the node:\n%s", n.logs)
		}
	})
	t.Cleanup(n.stop)
}

func (n *node) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, func() error { return n.Status() })
}

// queue is the node's own, of its latest attachment.
func (n *node) queue() string {
	lines := n.logs.lines("attached to RabbitMQ")
	_, name, _ := strings.Cut(lines[len(lines)-1], "queue=")
	return strings.TrimSpace(name)
}

func exchangeName(t *testing.T) string { return "test." + t.Name() }

// eventually polls what has no event to wait for, such as a counter.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(timeout)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("still after %v: %v", timeout, err)
		}
	}
}

func (n *node) publish(t *testing.T, channel, payload string) {
	t.Helper()
	if err := n.Publish(gateway.Message{Channel: channel, Payload: []byte(payload), Text: true}); err != nil {
		t.Fatal(err)
	}
}

func (n *node) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := n.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// receiver is a gateway that remembers what it is given.
type receiver struct {
	mu      sync.Mutex
	got     []gateway.Message
	read    gateway.ID // of the latest, blank ones too
	gaps    []gateway.Gap
	changed chan struct{} // closed at the next delivery or gap
	held    chan struct{}
	room    chan struct{} // a value for each Ready
}

func newReceiver() *receiver {
	return &receiver{changed: make(chan struct{}), room: make(chan struct{}, 1024)}
}

func (r *receiver) Deliver(m gateway.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = m.ID
	if m.Blank {
		return
	}
	m.Payload = bytes.Clone(m.Payload)
	r.got = append(r.got, m)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *receiver) Gap(gap gateway.Gap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaps = append(r.gaps, gap)
	close(r.changed)
	r.changed = make(chan struct{})
}

// announced is all gaps so far.
func (r *receiver) announced() []gateway.Gap {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gaps
}

func (r *receiver) Hold() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held // a nil chan if nothing is held
}

func (r *receiver) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = make(chan struct{})
}

func (r *receiver) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.held)
	r.held = nil
}

func (r *receiver) Ready() { r.room <- struct{}{} }

// wait returns the messages once there are at least n.
func (r *receiver) wait(t *testing.T, n int) []gateway.Message {
	t.Helper()
	limit := time.After(timeout)
	for {
		r.mu.Lock()
		got, changed := r.got, r.changed
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%d of %d messages after %v", len(got), n, timeout)
		}
	}
}

// texts waits for n messages and returns their payloads.
func (r *receiver) texts(t *testing.T, n int) []string {
	t.Helper()
	var s []string
	for _, m := range r.wait(t, n) {
		s = append(s, string(m.Payload))
	}
	return s
}

// wantNumbers checks that exactly the numbers below n came, in order.
func (r *receiver) wantNumbers(t *testing.T, n int) {
	t.Helper()
	for i, s := range r.texts(t, n) {
		if s != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, s)
		}
	}
}

// logBuffer is what a node logs.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines are those that hold s.
func (l *logBuffer) lines(s string) []string {
	var found []string
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, s) {
			found = append(found, line)
		}
	}
	return found
}

// program is an AMQP program that isn't Warren.
func program(t *testing.T) *amqp091.Channel {
	t.Helper()
	c, err := amqp091.Dial(broker(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// send publishes as a foreign program and waits for the confirm.
func send(t *testing.T, ch *amqp091.Channel, exchange, key string, p amqp091.Publishing) {
	t.Helper()
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	d, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if ok, err := d.WaitContext(ctx); !ok || err != nil {
		t.Fatalf("publishing: confirmed %v, %v", ok, err)
	}
}

// ctl runs rabbitmqctl.
func ctl(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	out, err := broker(t).Ctl(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
