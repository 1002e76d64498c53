package gateway_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"warren/gateway"
)

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
			o.Timeout = 10 * time.Second // a tenth of it is more than a busy machine oversleeps
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
