package gateway_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"warren/gateway"
)

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
