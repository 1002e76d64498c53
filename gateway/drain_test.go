package gateway_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"warren/gateway"
)

// serving is a node on a listener, or on a port of its own, that is told to end
// by a cause.
func serving(t *testing.T, o gateway.Options, l net.Listener) (n *node, end func(cause error) <-chan error) {
	t.Helper()
	g, err := gateway.New(o, newRecorder())
	if err != nil {
		t.Fatal(err)
	}
	if l == nil {
		err = g.Listen("127.0.0.1:0")
	} else {
		err = g.Adopt(l)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	done, ended := make(chan error, 1), make(chan struct{})
	go func() {
		done <- g.Serve(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel(gateway.ErrStopNow)
		<-ended
	})
	return &node{Gateway: g}, func(cause error) <-chan error {
		cancel(cause)
		return done
	}
}

func wantEnd(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Serve did not end")
	}
}

func wantPhase(t *testing.T, n *node, phase gateway.DrainPhase, clients int64) {
	t.Helper()
	if got := n.Drained(); got != (gateway.DrainState{Phase: phase, Clients: clients}) {
		t.Errorf("%v with %d clients, want %v with %d", got.Phase, got.Clients, phase, clients)
	}
}

func wantStatus(t *testing.T, n *node, want error) {
	t.Helper()
	if err := n.Status(); err != want {
		t.Errorf("status %v, want %v", err, want)
	}
	c := connectRaw(t, n)
	c.put(plainHead("GET /readyz"))
	r, body := c.response()
	if want == nil && r.StatusCode != 200 || want != nil && (r.StatusCode != 503 || !strings.Contains(body, want.Error())) {
		t.Errorf("/readyz: %s %s, want %v", r.Status, body, want)
	}
}

// A drain that is announced says so, still takes clients, and can be undone.
func TestDrainAnnounced(t *testing.T) {
	n, _ := serving(t, gateway.Options{Drain: gateway.DrainOptions{Delay: time.Hour}}, nil)
	wantPhase(t, n, gateway.Serving, 0)
	wantStatus(t, n, nil)
	n.Drain()
	n.Drain()
	wantStatus(t, n, gateway.ErrDraining)
	c := openRaw(t, n, "/ws/room")
	wantPhase(t, n, gateway.Announced, 1)
	if err := n.Undrain(); err != nil {
		t.Error(err)
	}
	wantStatus(t, n, nil)
	wantPhase(t, n, gateway.Serving, 1)
	c.put(masked(rawFin|rawPing, "there?"))
	c.expectFrame(rawFin|rawPong, "there?")
}

// A node that is being emptied refuses clients of all kinds, says so, publishes,
// and takes them again if that is undone.
func TestDrainEmptying(t *testing.T) {
	n, _ := serving(t, gateway.Options{Drain: gateway.DrainOptions{Period: time.Hour}}, nil)
	c := openRaw(t, n, "/ws/room")
	n.Drain()
	awaitPhase(t, n, gateway.Emptying)
	n.Drain()
	wantPhase(t, n, gateway.Emptying, 1)
	wantStatus(t, n, gateway.ErrDraining)
	for _, head := range []string{upgradeHead("/ws/room"), plainHead("GET /sse/room")} {
		refused := connectRaw(t, n)
		refused.put(head)
		if r, reason := refused.expectRefusal(503); r.Header.Get("Retry-After") == "" || !strings.Contains(reason, "draining") {
			t.Errorf("%q, %v", reason, r.Header)
		}
	}
	if err := n.Submit(within(t), gateway.Message{Channel: "room", Settled: func(gateway.MessageID, error) {}}); err != nil {
		t.Errorf("a node that drains doesn't publish: %v", err)
	}
	if err := n.Undrain(); err != nil {
		t.Error(err)
	}
	wantStatus(t, n, nil)
	openRaw(t, n, "/ws/room")
	c.put(masked(rawFin|rawPing, "there?"))
	c.expectFrame(rawFin|rawPong, "there?")
	wantPhase(t, n, gateway.Serving, 2)
}

func awaitPhase(t *testing.T, n *node, want gateway.DrainPhase) {
	t.Helper()
	awaitStats(t, n, "the drain is "+want.String(), func(gateway.Stats) bool { return n.Drained().Phase == want })
}

// Everyone is closed within the period, after what is due to them; the node
// stays, and can be filled again.
func TestDrainEmpty(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Drain: gateway.DrainOptions{Period: 300 * time.Millisecond}}, r)
	to := <-r.to
	clients := []*rawConn{openRaw(t, n, "/ws/room"), openRaw(t, n, "/ws/room"), openRaw(t, n, "/ws/room")}
	stream := openEvents(t, n, "/sse/room")
	to.Deliver(gateway.Message{Channel: "room", Payload: []byte("last"), Text: true})
	began := time.Now()
	n.Drain()
	for _, c := range clients {
		c.expectFrame(rawFin|rawText, "last")
		if reason := c.expectClose(1012); reason != "the node drains: come back now" {
			t.Errorf("reason %q", reason)
		}
		c.put(masked(rawFin|rawClose, closeBody(1012, "")))
		c.expectEnd()
	}
	stream.event() // where it is
	stream.event()
	stream.stops("the node drains: come back now")
	if stream.retry != "100" {
		t.Errorf("retry: %q", stream.retry) // of its own it would be a second at least
	}
	awaitPhase(t, n, gateway.Empty)
	if passed := time.Since(began); passed < 290*time.Millisecond {
		t.Errorf("the last was closed after %v, before the period's end", passed)
	}
	wantStatus(t, n, gateway.ErrDraining)
	if err := n.Undrain(); err != nil {
		t.Error(err)
	}
	openRaw(t, n, "/ws/room")
	wantStatus(t, n, nil)
}

// A node answers for its event loops while they go round.
func TestAlive(t *testing.T) {
	n, end := serving(t, gateway.Options{Shards: 3}, nil)
	if err := n.Alive(within(t)); err != nil {
		t.Error(err)
	}
	wantEnd(t, end(nil))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Alive(gone); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "3 of 3 event loops") {
		t.Errorf("after its end: %v", err)
	}
}
