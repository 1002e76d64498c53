package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"warren/gateway"
)

// fakeNode is what a manager reports about.
type fakeNode struct {
	mu    sync.Mutex
	why   error
	drain gateway.DrainState
	hung  bool // its event loops don't answer
}

func (n *fakeNode) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *fakeNode) Alive(ctx context.Context) error {
	n.mu.Lock()
	hung := n.hung
	n.mu.Unlock()
	if !hung {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (n *fakeNode) Status() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.why
}

func (n *fakeNode) Drained() gateway.DrainState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.drain
}

// runManager runs a manager of node within a synctest bubble. told returns
// what it has sent since it was last asked.
func runManager(t *testing.T, node *fakeNode, watchdog time.Duration) (stop, end func(), told func() []string) {
	t.Helper()
	var mu sync.Mutex
	var sent []string
	m := &manager{
		node: node,
		send: func(state string) error {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, state)
			return nil
		},
		watchdog: watchdog,
		timeout:  90 * time.Second,
		log:      slog.New(slog.DiscardHandler),
	}
	ctx, stop := context.WithCancel(t.Context())
	serving, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.run(ctx, serving)
	}()
	end = func() {
		cancel()
		<-done
	}
	t.Cleanup(func() {
		stop()
		end()
	})
	return stop, end, func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		defer func() { sent = nil }()
		return sent
	}
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

// The manager is told that the node is ready once its loops answer, and what
// is missing whenever that changes.
func TestManagerStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &fakeNode{why: errors.New("no link\nto RabbitMQ")}
		stop, _, told := runManager(t, node, 0)
		expect(t, "without its exchange", told(), "READY=1\nSTATUS=not ready: no link; to RabbitMQ")
		time.Sleep(time.Minute)
		expect(t, "nothing new", told())

		for _, tt := range []struct {
			why   error
			drain gateway.DrainState
			want  string
		}{
			{nil, gateway.DrainState{Phase: gateway.Serving, Clients: 9}, "STATUS=ready"},
			{gateway.ErrDraining, gateway.DrainState{Phase: gateway.Announced, Clients: 9}, "STATUS=draining, new clients still taken; clients: 9"},
			{gateway.ErrDraining, gateway.DrainState{Phase: gateway.Emptying, Clients: 8}, "STATUS=draining; clients left: 8"},
			{gateway.ErrDraining, gateway.DrainState{Phase: gateway.Empty}, "STATUS=drained; clients left: 0"},
			{nil, gateway.DrainState{Phase: gateway.Serving}, "STATUS=ready"},
		} {
			node.set(func() { node.why, node.drain = tt.why, tt.drain })
			time.Sleep(2 * statusEvery)
			expect(t, tt.drain.Phase.String(), told(), tt.want)
		}

		node.set(func() {
			node.why, node.drain = gateway.ErrStopping, gateway.DrainState{Phase: gateway.Stopping, Clients: 7}
		})
		stop()
		expect(t, "stop", told(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=100000000\nSTATUS=stopping; clients left: 7")
		node.set(func() { node.drain.Clients = 6 })
		time.Sleep(statusEvery)
		expect(t, "one client less", told(), "STATUS=stopping; clients left: 6")
	})
}

// A node that doesn't answer gives no sign of life, and doesn't hold up its own end.
func TestManagerWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &fakeNode{}
		_, end, told := runManager(t, node, 30*time.Second)
		time.Sleep(31 * time.Second)
		expect(t, "alive", told(), "READY=1\nSTATUS=ready", "WATCHDOG=1", "WATCHDOG=1")
		node.set(func() { node.hung = true })
		time.Sleep(5 * time.Minute)
		expect(t, "hung", told())
		node.set(func() { node.hung = false })
		time.Sleep(30 * time.Second)
		if got := told(); !slices.Contains(got, "WATCHDOG=1") {
			t.Errorf("alive again: told %q", got)
		}
		node.set(func() { node.hung = true })
		time.Sleep(20 * time.Second)
		began := time.Now()
		end()
		if took := time.Since(began); took > 0 {
			t.Errorf("the end took %v", took)
		}
	})
}

// A node whose loops never answer isn't ready.
func TestManagerWaitsForLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, told := runManager(t, &fakeNode{hung: true}, 0)
		time.Sleep(time.Minute)
		expect(t, "hung from the start", told())
	})
}

// boss is the socket of a service manager.
type boss struct {
	t      *testing.T
	conn   *net.UnixConn
	status string // the latest
}

// newBoss sets NOTIFY_SOCKET for processes that are started then.
func newBoss(t *testing.T) *boss {
	t.Helper()
	dir, err := os.MkdirTemp("", "boss") // short: the name of a socket has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	return &boss{t: t, conn: conn}
}

// hear is the next datagram's lines.
func (b *boss) hear(awaited string) []string {
	b.t.Helper()
	buf := make([]byte, 4096)
	n, err := b.conn.Read(buf)
	if err != nil {
		b.t.Fatalf("never told %s: %v", awaited, err)
	}
	lines := strings.Split(string(buf[:n]), "\n")
	for _, line := range lines {
		if status, ok := strings.CutPrefix(line, "STATUS="); ok {
			b.status = status
		}
	}
	return lines
}

// told reads on until a datagram with that line, and returns all its lines.
func (b *boss) told(line string) []string {
	b.t.Helper()
	for {
		if lines := b.hear(line); slices.Contains(lines, line) {
			return lines
		}
	}
}

// shows reads on until that is the status.
func (b *boss) shows(status string) {
	b.t.Helper()
	for b.status != status {
		b.hear(status)
	}
}

// A service manager hears of a process from its start to its end.
func TestNotifies(t *testing.T) {
	drains(t, 0, forever, 2*forever)
	t.Setenv("WATCHDOG_USEC", "1000000")
	b := newBoss(t)
	cmd, _, addr := process(t, binary, "--listen=127.0.0.1:0")
	if lines := b.told("READY=1"); !slices.Contains(lines, "STATUS=ready") {
		t.Errorf("ready with %q", lines)
	}
	b.told("WATCHDOG=1")
	first, second := dial(t, addr, "/ws"), dial(t, addr, "/ws")
	send(t, cmd, syscall.SIGTERM)
	if lines := b.told("STOPPING=1"); !slices.Contains(lines, "EXTEND_TIMEOUT_USEC=7210000000") {
		t.Errorf("stopping with %q", lines)
	}
	b.shows("draining; clients left: 2")
	first.CloseNow()
	b.shows("draining; clients left: 1")
	b.told("WATCHDOG=1")
	second.CloseNow()
	endsWell(t, cmd)
}

// Ready is who serves, even if the broker isn't there.
func TestNotifiesWithoutItsBroker(t *testing.T) {
	drains(t, 0, 0, time.Minute)
	b := newBoss(t)
	process(t, binary, "--listen=127.0.0.1:0", "--amqp-url=amqp://127.0.0.1:1")
	if b.told("READY=1"); !strings.HasPrefix(b.status, "not ready: ") {
		t.Errorf("ready, and the status is %q", b.status)
	}
}

// A watchdog that can't be understood stops the start.
func TestBadWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "soon")
	code, _, stderr := runBinary(t, "--listen=127.0.0.1:0", "--admin-listen=")
	if code != 1 || !strings.HasPrefix(stderr, "warren: service manager: ") || !strings.Contains(stderr, "WATCHDOG_USEC") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}
