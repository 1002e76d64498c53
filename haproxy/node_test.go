package haproxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"warren/haproxy/haproxytest"
)

const limit = time.Minute // for anything to happen; the machine may be busy

// node stands in for a gateway: it answers each frame with its own name.
type node struct {
	name     string
	server   *httptest.Server
	page     http.Handler // for plain requests; a line of text
	ready    atomic.Bool
	full     atomic.Bool // refuses what isn't a check, with 503
	upgrades atomic.Int64
	refusals atomic.Int64

	mu       sync.Mutex
	requests []request // but for checks
	checks   []request
	sockets  map[string]int // requests a connection, by the proxy's address
}

// request is one that arrived, and the PROXY header before it, if any.
type request struct {
	*http.Request
	socket string // the address of HAProxy's socket
	header *proxyproto.Header
}

type connKey struct{}

// newNode starts a node for the clients of a form.
func newNode(t *testing.T, name string, form haproxytest.Form) *node {
	t.Helper()
	n := &node{name: name, sockets: map[string]int{}}
	n.ready.Store(true)
	n.server = httptest.NewUnstartedServer(n)
	if form == haproxytest.Production || form == haproxytest.TCP {
		n.server.Listener = &proxyproto.Listener{Listener: n.server.Listener} // it requires a header
	}
	n.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	n.server.Start()
	t.Cleanup(n.server.Close)
	return n
}

func (n *node) addr() string { return n.server.Listener.Addr().String() }

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := request{Request: r, socket: r.RemoteAddr}
	if c, ok := r.Context().Value(connKey{}).(*proxyproto.Conn); ok {
		seen.socket, seen.header = c.Raw().RemoteAddr().String(), c.ProxyHeader()
	}
	check := r.URL.Path == "/readyz"
	n.mu.Lock()
	if check {
		n.checks = append(n.checks, seen)
	} else {
		n.requests = append(n.requests, seen)
		n.sockets[seen.socket]++
	}
	n.mu.Unlock()
	switch {
	case check && !n.ready.Load():
		http.Error(w, "draining", http.StatusServiceUnavailable)
	case check:
	case n.full.Load() && r.URL.Path != "/":
		n.refusals.Add(1)
		w.Header().Set("Retry-After", "7")
		http.Error(w, n.name+" is full", http.StatusServiceUnavailable)
	case r.Header.Get("Upgrade") != "":
		n.upgrade(w, r)
	case n.page != nil:
		n.page.ServeHTTP(w, r)
	default:
		fmt.Fprintf(w, "%s answers %s", n.name, r.URL.Path)
	}
}

func (n *node) upgrade(w http.ResponseWriter, r *http.Request) {
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
func (n *node) seen() []request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.requests)
}

// forms are those that are tested alike.
var forms = []haproxytest.Form{haproxytest.Plain, haproxytest.Production, haproxytest.Tutorial, haproxytest.TCP}

// each runs test for some forms at the same time: mostly they wait for HAProxy.
func each(t *testing.T, forms []haproxytest.Form, test func(*testing.T, haproxytest.Form)) {
	t.Parallel()
	for _, f := range forms {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			test(t, f)
		})
	}
}

// start runs HAProxy before two nodes. Other options are o's.
func start(t *testing.T, o haproxytest.Options) (*haproxytest.Proxy, [2]*node) {
	t.Helper()
	nodes := [2]*node{newNode(t, "one", o.Form), newNode(t, "two", o.Form)}
	o.Nodes = [2]string{nodes[0].addr(), nodes[1].addr()}
	return haproxytest.Run(t, o), nodes
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

// dial opens a WebSocket from an address of this machine; empty: any.
func dial(t *testing.T, p *haproxytest.Proxy, from string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	return websocket.Dial(within(t), p.URL("/ws/room"), &websocket.DialOptions{
		HTTPClient: clientFrom(p, from),
		HTTPHeader: http.Header{"Origin": {p.Site("")}},
	})
}

func open(t *testing.T, p *haproxytest.Proxy) tunnel { return openFrom(t, p, "") }

func openFrom(t *testing.T, p *haproxytest.Proxy, from string) tunnel {
	t.Helper()
	ws, _, err := dial(t, p, from)
	if err != nil {
		t.Fatalf("opening a tunnel: %v", err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return tunnel{ws, t}
}

// clientFrom is p's client, on an address of this machine.
func clientFrom(p *haproxytest.Proxy, from string) *http.Client {
	client := p.Client()
	client.Timeout = limit
	if from != "" {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		client.Transport.(*http.Transport).DialContext = dialer.DialContext
	}
	return client
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

func keeper(t *testing.T, p *haproxytest.Proxy) *http.Client {
	t.Helper()
	conn := connect(t, p)
	return &http.Client{Transport: &wire{conn, bufio.NewReader(conn)}, Timeout: limit}
}

// connect opens a connection, with TLS if there is.
func connect(t *testing.T, p *haproxytest.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if config := p.TLS(); config != nil {
		config.ServerName = "localhost"
		return tls.Client(conn, config)
	}
	return conn
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
