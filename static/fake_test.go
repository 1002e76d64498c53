package static_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"warren/static"
)

const limit = 60 * time.Second // for anything to happen; the machine may be busy

// fake is a server of the page and the client that lets the test play the
// gateway.
type fake struct {
	t       *testing.T
	url     string
	conns   chan *conn
	refuse  atomic.Bool  // answer handshakes with 503
	refused atomic.Int64 // handshakes answered so
	running handlers
}

// handlers counts a server's running handlers: net/http forgets those that
// upgrade.
type handlers struct {
	mu      sync.Mutex
	stopped bool
	sync.WaitGroup
}

// enter says whether a handler may begin; then it must end with Done.
func (h *handlers) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.Add(1)
	}
	return !h.stopped
}

// stop waits for those that have begun.
func (h *handlers) stop() {
	h.mu.Lock()
	h.stopped = true
	h.mu.Unlock()
	h.Wait()
}

// conn is a client's WebSocket, seen from the gateway.
type conn struct {
	*websocket.Conn
	t     *testing.T
	path  string
	query url.Values
	tcp   net.Conn

	channel string // of the page
	last    int    // number of the message said last
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
	t.Cleanup(func() {
		server.Close()
		f.running.stop()
		close(f.conns)
		for c := range f.conns { // those the test didn't ask for
			c.CloseNow()
		}
	})
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.running.enter() {
		return
	}
	defer f.running.Done()
	switch {
	case r.URL.Path == "/warren.js":
		static.Module().ServeHTTP(w, r)
	case r.URL.Path == "/rig":
		http.ServeFile(w, r, "testdata/browser.html")
	case r.URL.Path == "/rig.mjs":
		w.Header().Set("Content-Type", "text/javascript")
		http.ServeFile(w, r, "testdata/rig.mjs")
	case r.Header.Get("Upgrade") == "":
		static.Page("/ws").ServeHTTP(w, r)
	case f.refuse.Load():
		f.refused.Add(1)
		http.Error(w, "refused by the test", http.StatusServiceUnavailable)
	default:
		// The default checks that Origin is this host.
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols:    []string{"warren.v1.json"},
			CompressionMode: websocket.CompressionDisabled,
		})
		if err != nil {
			f.t.Logf("upgrade: %v", err) // the client may have left already
			return
		}
		ws.SetReadLimit(-1)
		f.conns <- &conn{Conn: ws, t: f.t, path: r.URL.Path, query: r.URL.Query(), tcp: r.Context().Value(tcpKey{}).(net.Conn)}
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

// frame is one JSON object of the protocol.
type frame map[string]any

// welcome accepts a client and greets it.
func (f *fake) welcome() *conn {
	f.t.Helper()
	c := f.accept()
	c.tell(frame{"type": "welcome", "connection": "c1", "node": "n1"})
	return c
}

// page accepts the page, which listens to one channel; "" is root.
func (f *fake) page(channel string) *conn {
	f.t.Helper()
	c := f.welcome()
	c.channel = channel
	c.subscribed(frame{"channel": channel, "history": 50.}, frame{"id": "0-00000001"})
	return c
}

// back accepts the page when it comes back to the same.
func (f *fake) back(old *conn) *conn {
	f.t.Helper()
	c := f.welcome()
	c.channel, c.last = old.channel, old.last
	id := fmt.Sprintf("%d-00000001", c.last)
	c.subscribed(frame{"channel": c.channel, "since": id}, frame{"id": id})
	return c
}

// say sends the page a message of its channel: field is data, text or base64.
func (c *conn) say(field string, payload any) {
	c.t.Helper()
	c.last++
	m := frame{"type": "message", "channel": c.channel, "id": fmt.Sprintf("%d-00000001", c.last), "mid": fmt.Sprint("m", c.last), "at": time.Now().UnixMilli(), field: payload}
	if c.channel == "" {
		m["root"] = true
	}
	c.tell(m)
}

// publishes waits for a message of the page's, and acknowledges it.
func (c *conn) publishes(channel, text string) {
	c.t.Helper()
	got := c.next()
	if got["type"] != "publish" || got["channel"] != channel || got["text"] != text {
		c.t.Errorf("the page sends %v, want %q to %q", got, text, channel)
	}
	c.tell(frame{"type": "ack", "ref": got["ref"], "mid": "own"})
}

// tell sends frames.
func (c *conn) tell(frames ...frame) {
	c.t.Helper()
	for _, f := range frames {
		text, err := json.Marshal(f)
		if err != nil {
			c.t.Fatal(err)
		}
		c.send(websocket.MessageText, string(text))
	}
}

// next waits for the client's next frame.
func (c *conn) next() frame {
	c.t.Helper()
	text := c.receive()
	var f frame
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		c.t.Fatalf("the client sends %q: %v", text, err)
	}
	return f
}

// expect waits for the client's next frame, and compares all but its ref,
// which it returns.
func (c *conn) expect(want frame) any {
	c.t.Helper()
	got := c.next()
	ref := got["ref"]
	delete(got, "ref")
	if !reflect.DeepEqual(got, want) {
		c.t.Fatalf("the client sends %v, want %v", got, want)
	}
	return ref
}

// subscribed expects a subscription, and takes it.
func (c *conn) subscribed(want frame, answer frame) {
	c.t.Helper()
	want["type"] = "subscribe"
	ref := c.expect(want)
	all := frame{"type": "subscribed", "channel": want["channel"], "ref": ref}
	for k, v := range answer {
		all[k] = v
	}
	c.tell(all)
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
