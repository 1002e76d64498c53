package static_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"warren/static"
)

const limit = 60 * time.Second // for anything to happen; the machine may be busy

// fake is a server of the page that lets the test play the gateway.
type fake struct {
	t       *testing.T
	url     string
	conns   chan *conn
	refuse  atomic.Bool  // answer handshakes with 503
	refused atomic.Int64 // handshakes answered so
}

// conn is a page's WebSocket, seen from the gateway.
type conn struct {
	*websocket.Conn
	t    *testing.T
	path string
	tcp  net.Conn
}

type tcpKey struct{}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, conns: make(chan *conn, 16)}
	server := httptest.NewUnstartedServer(f)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, tcpKey{}, c)
	}
	server.Start()
	f.url = server.URL
	t.Cleanup(server.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Upgrade") == "":
		static.Page("/ws").ServeHTTP(w, r)
	case f.refuse.Load():
		f.refused.Add(1)
		http.Error(w, "refused by the test", http.StatusServiceUnavailable)
	default:
		// The default checks that Origin is this host.
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
		if err != nil {
			f.t.Errorf("upgrade: %v", err)
			return
		}
		f.conns <- &conn{Conn: ws, t: f.t, path: r.URL.Path, tcp: r.Context().Value(tcpKey{}).(net.Conn)}
	}
}

// accept waits for the page to connect.
func (f *fake) accept() *conn {
	f.t.Helper()
	select {
	case c := <-f.conns:
		f.t.Cleanup(func() { c.CloseNow() })
		return c
	case <-time.After(limit):
		f.t.Fatal("the page doesn't connect")
		return nil
	}
}

// send sends a frame to the page.
func (c *conn) send(kind websocket.MessageType, payload string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := c.Write(ctx, kind, []byte(payload)); err != nil {
		c.t.Fatalf("sending to the page: %v", err)
	}
}

// receive waits for a text message from the page.
func (c *conn) receive() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	kind, payload, err := c.Read(ctx)
	if err != nil || kind != websocket.MessageText {
		c.t.Fatalf("reading from the page: %v, %v", kind, err)
	}
	return string(payload)
}

// closed waits for the page to close and returns its code.
func (c *conn) closed() websocket.StatusCode {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// end closes with a code and waits for the page's answer.
func (c *conn) end(code websocket.StatusCode, reason string) {
	c.t.Helper()
	if err := c.Close(code, reason); err != nil {
		c.t.Fatalf("closing with %d: %v", code, err)
	}
}

// cut resets the connection, as a dying node does.
func (c *conn) cut() {
	c.t.Helper()
	if err := c.tcp.(*net.TCPConn).SetLinger(0); err != nil {
		c.t.Fatal(err)
	}
	c.tcp.Close()
}

func lines(s ...string) string { return strings.Join(s, "\n") }
