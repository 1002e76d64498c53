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

// A stop takes clients during the delay, then leaves the port, and can't be
// undone.
func TestStopDrains(t *testing.T) {
	n, end := serving(t, gateway.Options{Drain: gateway.DrainOptions{Delay: 500 * time.Millisecond, Period: 200 * time.Millisecond}}, nil)
	c := openRaw(t, n, "/ws/room")
	began := time.Now()
	done := end(nil)
	if reason := c.expectClose(1012); reason != "the node drains: come back now" {
		t.Errorf("reason %q", reason)
	}
	if passed := time.Since(began); passed < 690*time.Millisecond {
		t.Errorf("closed after %v, before delay and period were over", passed)
	}
	if conn, err := net.Dial("tcp", n.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("it still accepts")
	}
	if err := n.Undrain(); err != gateway.ErrStopping {
		t.Errorf("undone: %v", err)
	}
	_ = c.Close()
	wantEnd(t, done)
	wantPhase(t, n, gateway.Stopping, 0)
	if err := n.Status(); err != gateway.ErrStopping {
		t.Errorf("status %v", err)
	}
}

// Whoever has connected before a stop leaves the port is a client yet, and is
// sent away like one: also many, and on a node without clients.
func TestStopTakesHandshakes(t *testing.T) {
	for name, count := range map[string]int{"one": 1, "more than are accepted at once": 300} {
		t.Run(name, func(t *testing.T) {
			g, err := gateway.New(gateway.Options{Shards: 2, Drain: gateway.DrainOptions{Period: time.Hour}}, newRecorder())
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Listen("127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			clients := make([]*rawConn, count)
			for i := range clients {
				clients[i] = connectRaw(t, &node{Gateway: g})
				clients[i].put(upgradeHead("/ws/room"))
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			done := make(chan error, 1)
			go func() { done <- g.Serve(ctx) }()
			for _, c := range clients {
				c.expectOpen()
			}
			for _, c := range clients {
				_ = c.Close()
			}
			wantEnd(t, done)
		})
	}
}

// A handshake that was begun before the port is left may be finished behind that;
// who says nothing by the end of the period is cut.
func TestStopWaitsForHandshakes(t *testing.T) {
	o := gateway.Options{
		WebSocket: gateway.WebSocketOptions{HandshakeTimeout: time.Hour},
		Drain:     gateway.DrainOptions{Period: time.Hour, Timeout: time.Hour},
	}
	n, end := serving(t, o, nil)
	c := connectRaw(t, n)
	head := upgradeHead("/ws/room")
	c.put(head[:9])
	awaitStats(t, n, "it is accepted", func(st gateway.Stats) bool { return st.Connections == 1 })
	done := end(nil)
	awaitStats(t, n, "the port is left", func(gateway.Stats) bool {
		conn, err := net.Dial("tcp", n.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	c.put(head[9:])
	c.expectOpen()
	_ = c.Close()
	wantEnd(t, done)

	o.Drain.Period = time.Millisecond
	n, end = serving(t, o, nil)
	connectRaw(t, n)
	awaitStats(t, n, "it is accepted", func(st gateway.Stats) bool { return st.Connections == 1 })
	wantEnd(t, end(nil))
}

// Histories grow old in a stop's drain, too.
func TestStopForgets(t *testing.T) {
	fail := make(chan error, 1)
	g, err := gateway.New(gateway.Options{
		History: gateway.HistoryOptions{Messages: 1, Age: time.Millisecond},
		Drain:   gateway.DrainOptions{Delay: time.Hour},
	}, &failing{newRecorder(), fail})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	g.Deliver(gateway.Message{Channel: "room", Payload: []byte("old"), Text: true})
	if g.Stats().History == 0 {
		t.Error("it is not kept")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	awaitStats(t, &node{Gateway: g}, "the message is forgotten", func(st gateway.Stats) bool { return st.History == 0 })
	fail <- errors.New("enough")
	<-done
}

// A stop goes on from where a drain has got to.
func TestStopAfterDrain(t *testing.T) {
	n, end := serving(t, gateway.Options{Drain: gateway.DrainOptions{Delay: time.Hour}}, nil)
	n.Drain()
	_ = n.Undrain()
	c := openRaw(t, n, "/ws/room")
	n.Drain()
	done := end(gateway.ErrStopNow)
	c.expectClose(1001)
	_ = c.Close()
	wantEnd(t, done)

	n, end = serving(t, gateway.Options{}, nil)
	n.Drain()
	awaitPhase(t, n, gateway.Empty)
	wantEnd(t, end(nil))
}

// Told to stop now, it doesn't drain.
func TestStopNow(t *testing.T) {
	n, end := serving(t, gateway.Options{Drain: gateway.DrainOptions{Delay: time.Hour, Period: time.Hour}}, nil)
	c := openRaw(t, n, "/ws/room")
	done := end(gateway.ErrStopNow)
	if reason := c.expectClose(1001); reason != "the node stops" {
		t.Errorf("reason %q", reason)
	}
	_ = c.Close()
	wantEnd(t, done)
}

// However long its parts, a stop is over in time.
func TestStopIsBounded(t *testing.T) {
	hour := gateway.DrainOptions{Delay: time.Hour, Timeout: 200 * time.Millisecond}
	for name, o := range map[string]gateway.DrainOptions{
		"delay":         hour,
		"period":        {Period: time.Hour, Timeout: hour.Timeout},
		"close timeout": {Timeout: hour.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, end := serving(t, gateway.Options{Drain: o, Clients: gateway.ClientOptions{CloseTimeout: time.Hour}}, nil)
			openRaw(t, n, "/ws/room") // which answers no close frame
			wantEnd(t, end(nil))
		})
	}
}

// A part that fails ends a drain.
func TestDrainFails(t *testing.T) {
	broken := errors.New("broken")
	fail := make(chan error, 1)
	g, err := gateway.New(gateway.Options{Drain: gateway.DrainOptions{Delay: time.Hour}}, &failing{newRecorder(), fail})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	cancel()
	awaitPhase(t, &node{Gateway: g}, gateway.Announced)
	fail <- broken
	if err := <-done; !errors.Is(err, broken) {
		t.Errorf("Serve: %v", err)
	}
}

// failing is an exchange that can't go on once it is told so.
type failing struct {
	*recorder
	fail chan error
}

func (f *failing) Run(ctx context.Context, to gateway.Receiver) error {
	select {
	case err := <-f.fail:
		return err
	case <-ctx.Done():
		return nil
	}
}

// A socket that is somebody else's stays open over a restart: who connects
// meanwhile waits for the next node.
func TestAdopt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	passed := func() net.Listener {
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		again, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	n, end := serving(t, gateway.Options{}, passed())
	if n.Addr().String() != l.Addr().String() {
		t.Errorf("serves on %v, not %v", n.Addr(), l.Addr())
	}
	c := openRaw(t, n, "/ws/room")
	done := end(nil)
	c.expectClose(1012)
	_ = c.Close()
	wantEnd(t, done)
	early := connectRaw(t, n)
	early.put(upgradeHead("/ws/room"))
	_, end = serving(t, gateway.Options{}, passed())
	early.expectOpen()
	done = end(nil)
	early.expectClose(1012)
	_ = early.Close()
	wantEnd(t, done)
}

// A node that leaves takes nobody more from such a socket, however long it goes
// on with its clients.
func TestAdoptedIsLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old, end := serving(t, gateway.Options{
		Shards:    1,
		WebSocket: gateway.WebSocketOptions{HandshakeTimeout: 500 * time.Millisecond},
		Drain:     gateway.DrainOptions{Period: time.Hour, Timeout: time.Hour},
	}, l)
	c := openRaw(t, old, "/ws/room")
	connectRaw(t, old) // which says nothing
	awaitStats(t, old, "both are accepted", func(st gateway.Stats) bool { return st.Accepted == 2 })
	done := end(nil)
	awaitPhase(t, old, gateway.Emptying)
	if err := old.Alive(within(t)); err != nil { // it has read its mail
		t.Fatal(err)
	}
	early := connectRaw(t, old)
	early.put(upgradeHead("/ws/room"))
	awaitStats(t, old, "some ticks have passed", func(st gateway.Stats) bool { return st.TimedOut == 1 })
	again, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, gateway.Options{}, again)
	early.expectOpen()
	if n := old.Stats().Accepted; n != 2 {
		t.Errorf("the old node accepted %d, want 2", n)
	}
	_ = early.Close()
	_ = c.Close()
	wantEnd(t, done)
}

// Other sockets are refused with a reason.
func TestAdoptRefuses(t *testing.T) {
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{}, newRecorder())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Adopt(l); err == nil || !strings.Contains(err.Error(), "no TCP socket") {
		t.Errorf("adopted: %v", err)
	}
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

// flushing tells how much time it was given for its last messages.
type flushing struct {
	*recorder
	left chan time.Duration
}

func (f *flushing) Flush(ctx context.Context) error {
	until, _ := ctx.Deadline()
	f.left <- time.Until(until)
	return ctx.Err()
}

// However long clients take to go, the exchange has the last tenth.
func TestStopFlushesInTime(t *testing.T) {
	for name, o := range map[string]gateway.DrainOptions{
		"delay":         {Delay: time.Hour},
		"period":        {Period: time.Hour},
		"close timeout": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Timeout = 5 * time.Second
			ex := &flushing{newRecorder(), make(chan time.Duration, 1)}
			n := start(t, gateway.Options{Drain: o, Clients: gateway.ClientOptions{CloseTimeout: time.Hour}}, ex)
			openRaw(t, n, "/ws/room") // which answers no close frame
			n.stop()
			if left := <-ex.left; left <= 0 {
				t.Errorf("%v left to flush", left)
			}
		})
	}
}
