package gateway_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"warren/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what must happen: long, since the machine may be busy.
const patience = 60 * time.Second

// node is a gateway that serves until the test ends.
type node struct {
	*gateway.Gateway
	stop func() // and wait; may be called more than once
}

// start serves a gateway with o. Without an exchange it has an embedded one.
func start(t testing.TB, o gateway.Options, ex gateway.Exchange) *node {
	t.Helper()
	if ex == nil {
		ex = gateway.NewEmbedded()
	}
	if o.Shards == 0 {
		o.Shards = 2
	}
	if o.WebSocket.PingInterval == 0 {
		// Raw clients answer no pings: on a busy machine a test may outlast
		// the default. Tests of pings set their own.
		o.WebSocket.PingInterval = time.Hour
	}
	g, err := gateway.New(o, ex)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	stopped := false
	n := &node{Gateway: g, stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve did not end")
		}
	}}
	t.Cleanup(n.stop)
	return n
}

// url is where a WebSocket to path is to be had.
func (n *node) url(path string) string { return fmt.Sprintf("ws://%s%s", n.Addr(), path) }

// within is a context for one step of a test.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// dial connects an independent client.
func dial(t *testing.T, n *node, path string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(within(t), n.url(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func send(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.Write(within(t), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	_, got, err := c.Read(within(t))
	if err != nil {
		t.Fatalf("instead of %q: %v", want, err)
	}
	if string(got) != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestChannels(t *testing.T) {
	n := start(t, gateway.Options{}, nil)
	room1, room2 := dial(t, n, "/ws/room"), dial(t, n, "/ws/room")
	other, root := dial(t, n, "/ws/other"), dial(t, n, "/ws")
	send(t, room1, "a")
	for _, c := range []*websocket.Conn{room1, room2, root} {
		expect(t, c, "a")
	}
	send(t, root, "b")
	expect(t, root, "b")
	send(t, other, "c")
	for _, c := range []*websocket.Conn{other, root} {
		expect(t, c, "c")
	}
	send(t, room2, "d")
	expect(t, room1, "d") // neither b nor c
}
