package haproxy_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"warren/haproxy/haproxytest"
)

const limit = time.Minute // for anything to happen; the machine may be busy

// node stands in for a gateway: it answers each frame with its own name.
type node struct {
	name     string
	server   *httptest.Server
	ready    atomic.Bool
	upgrades atomic.Int64

	mu       sync.Mutex
	requests []*http.Request // but for checks
	sockets  map[string]int  // requests a connection, by the client's address
}

func newNode(t *testing.T, name string) *node {
	n := &node{name: name, sockets: map[string]int{}}
	n.ready.Store(true)
	n.server = httptest.NewServer(n)
	t.Cleanup(n.server.Close)
	return n
}

func (n *node) addr() string { return n.server.Listener.Addr().String() }

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/readyz" && r.Header.Get("X-Forwarded-For") == "" { // HAProxy's own check
		if !n.ready.Load() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
		}
		return
	}
	n.mu.Lock()
	n.requests = append(n.requests, r)
	n.sockets[r.RemoteAddr]++
	n.mu.Unlock()
	if r.Header.Get("Upgrade") == "" {
		fmt.Fprintf(w, "%s answers %s", n.name, r.URL.Path)
		return
	}
	// It checks that Origin's host is Host, as the gateway does.
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	n.upgrades.Add(1)
	for {
		kind, payload, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		if err := ws.Write(r.Context(), kind, append([]byte(n.name+" heard "), payload...)); err != nil {
			return
		}
	}
}

// seen returns the requests so far.
func (n *node) seen() []*http.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*http.Request(nil), n.requests...)
}

func start(t *testing.T) (*haproxytest.Proxy, [2]*node) {
	t.Helper()
	nodes := [2]*node{newNode(t, "one"), newNode(t, "two")}
	p := haproxytest.New(t, [2]string{nodes[0].addr(), nodes[1].addr()})
	return p, nodes
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// tunnel is a WebSocket through the proxy.
type tunnel struct {
	*websocket.Conn
	t *testing.T
}

func open(t *testing.T, p *haproxytest.Proxy, client *http.Client) tunnel {
	t.Helper()
	ws, _, err := websocket.Dial(within(t), "ws://"+p.Addr()+"/ws/room", &websocket.DialOptions{
		HTTPClient: client,
		HTTPHeader: http.Header{"Origin": {"http://" + p.Addr()}},
	})
	if err != nil {
		t.Fatalf("opening a tunnel: %v", err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return tunnel{ws, t}
}

// node asks through the tunnel which one is at its end.
func (c tunnel) node() string {
	c.t.Helper()
	if err := c.Write(within(c.t), websocket.MessageText, []byte("hello")); err != nil {
		c.t.Fatalf("sending through the tunnel: %v", err)
	}
	_, payload, err := c.Read(within(c.t))
	if err != nil {
		c.t.Fatalf("reading from the tunnel: %v", err)
	}
	name, heard, _ := strings.Cut(string(payload), " heard ")
	if heard != "hello" {
		c.t.Fatalf("received %q", payload)
	}
	return name
}

// wire is a client with exactly one connection. (http.Transport takes another
// for an upgrade.)
type wire struct {
	net.Conn
	read *bufio.Reader
}

func client(t *testing.T, p *haproxytest.Proxy) *http.Client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &http.Client{Transport: &wire{conn, bufio.NewReader(conn)}, Timeout: limit}
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Write(w.Conn); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(w.read, r)
	if err == nil && response.StatusCode == http.StatusSwitchingProtocols {
		response.Body = w
	}
	return response, err
}

func (w *wire) Read(b []byte) (int, error) { return w.read.Read(b) }
