package gateway_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"warren/gateway"
)

// The head of a stream, byte for byte, and what comes before the first message.
func TestEventsHead(t *testing.T) {
	o := gateway.Options{WebSocket: gateway.WebSocketOptions{Origins: []string{"https://page.test"}}}
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	to.Deliver(streamed("other", 0))
	retries := map[string]bool{}
	for _, tt := range []struct{ line, cors string }{
		{"GET /sse/room HTTP/1.1\r\nHost: warren.test\r\n", ""},
		{"GET /sse/room?x=1&y HTTP/1.1\r\nHost: warren.test\r\nOrigin: https://page.test\r\n", "https://page.test"},
		{"GET /sse HTTP/1.1\r\nHost: warren.test\r\nOrigin: http://warren.test\r\n", "http://warren.test"},
		{"GET /sse/room HTTP/1.0\r\n", ""},
		{"GET /sse/room HTTP/1.1\r\nHost: warren.test\r\nConnection: keep-alive\r\nAccept: text/html\r\nCache-Control: no-cache\r\n", ""},
	} {
		c := connectRaw(t, n)
		c.put(tt.line + "\r\n")
		want := "HTTP/1.1 200 OK\r\nServer: warren\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\nConnection: close\r\n"
		if tt.cors != "" {
			want += "Vary: Origin\r\nAccess-Control-Allow-Origin: " + tt.cors + "\r\n"
		}
		want += "\r\nretry: "
		if got := string(c.take(len(want))); got != want {
			t.Fatalf("%q: %q", tt.line, got)
		}
		retry, err := c.in.ReadString('\n')
		if ms, e := strconv.Atoi(strings.TrimSuffix(retry, "\n")); err != nil || e != nil || ms < 1000 || ms >= 5000 {
			t.Errorf("retry: %q, %v", retry, err)
		}
		retries[retry] = true
		want = fmt.Sprintf("\nid: %v\n\n", streamPlace(0))
		if got := string(c.take(len(want))); got != want {
			t.Fatalf("%q: %q", tt.line, got)
		}
		to.Deliver(gateway.Message{Channel: "room", Payload: []byte("a\r\nb"), Text: true, ID: streamID(1)})
		want = fmt.Sprintf("id: %v\ndata: a\ndata: b\n\n", streamID(1))
		if got := string(c.take(len(want))); got != want {
			t.Fatalf("%q: %q", tt.line, got)
		}
		_ = c.Close()
		awaitStats(t, n, "it has left", func(st gateway.Stats) bool { return st.Connections == 0 })
		to.Deliver(streamed("other", 0)) // anew
	}
	if len(retries) == 1 {
		t.Error("all come back at the same time")
	}
	if st := n.Stats(); st.EventStreams != 5 || st.Clients != 0 || st.Upgraded != 0 || st.Channels != 0 {
		t.Errorf("%+v", st)
	}
}

// What is refused, and how.
func TestEventsRefused(t *testing.T) {
	o := keeping(10)
	o.Clients.Max = 1
	n := start(t, o, newRecorder())
	for request, status := range map[string]int{
		"POST /sse/room HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc": 405,
		"HEAD /sse/room HTTP/1.1\r\nHost: h\r\n\r\n":                         405,
		"OPTIONS /sse HTTP/1.1\r\nHost: h\r\n\r\n":                           405,
		"GET /sse/ HTTP/1.1\r\nHost: h\r\n\r\n":                              404,
		"GET /sse/a//b HTTP/1.1\r\nHost: h\r\n\r\n":                          404,
		"GET /ssea HTTP/1.1\r\nHost: h\r\n\r\n":                              404,
		"GET /sse/a HTTP/1.1\r\nHost: h\r\nOrigin: http://o\r\n\r\n":         403,
		"GET /sse/a HTTP/1.1\r\nHost: h\r\nOrigin: null\r\n\r\n":             403,
		"GET /sse/a?history=x HTTP/1.1\r\nHost: h\r\n\r\n":                   400,
		"GET /sse/a?since=x HTTP/1.1\r\nHost: h\r\n\r\n":                     400,
		"GET /sse/a HTTP/1.1\r\n\r\n":                                        400,
	} {
		c := connectRaw(t, n)
		c.put(request)
		r, _ := c.response()
		if r.StatusCode != status || status == 405 && r.Header.Get("Allow") != "GET" {
			t.Errorf("%q: %s %v", request, r.Status, r.Header)
		}
		_ = c.Close()
	}
	first := openEvents(t, n, "/sse/room")
	second := connectRaw(t, n)
	second.put(plainHead("GET /sse/room"))
	if r, body := second.response(); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || !strings.Contains(body, "all the clients") {
		t.Errorf("a full node: %s %q", r.Status, body)
	}
	_ = first.Close()
	awaitStats(t, n, "there is room", func(st gateway.Stats) bool { return st.Clients == 0 })
	openEvents(t, n, "/sse/room")
}

// Nothing that the client sends matters, however much; its FIN frees it.
func TestEventsInput(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{}, r)
	to := <-r.to
	c := openEvents(t, n, "/sse/room")
	c.event()
	c.put(strings.Repeat("GET / HTTP/1.1\r\n\r\n", 10_000), masked(rawFin|rawClose, ""))
	to.Deliver(streamed("room", 0))
	c.expect(event{"", "0", streamID(0).String()})
	awaitStats(t, n, "it is there", func(st gateway.Stats) bool { return st.Clients == 1 && st.Received == 0 && st.Inbound == 0 })
	for _, leave := range []func() error{
		c.CloseWrite,
		func() error {
			c = openEvents(t, n, "/sse/room")
			_ = c.SetLinger(0)
			return c.Close()
		},
	} {
		if err := leave(); err != nil {
			t.Fatal(err)
		}
		awaitStats(t, n, "nothing is left", func(st gateway.Stats) bool {
			return st.Connections == 0 && st.Clients == 0 && st.Channels == 0
		})
	}
}

// A quiet stream is kept alive by comments, which tell the place.
func TestEventsAlive(t *testing.T) {
	o := gateway.Options{WebSocket: gateway.WebSocketOptions{PingInterval: 100 * time.Millisecond, PongTimeout: 100 * time.Millisecond}}
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	c := openEvents(t, n, "/sse/room")
	to.Deliver(streamed("other", 0))
	place := streamPlace(0).String()
	for c.lastID != place {
		c.event()
	}
	c.comments = nil
	to.Deliver(streamed("other", 1))
	for c.lastID != streamPlace(1).String() {
		c.event()
	}
	if len(c.comments) == 0 || c.comments[0] != "" {
		t.Errorf("comments: %q", c.comments)
	}
	for range 5 { // longer than a WebSocket that answers no ping would live
		c.event()
	}
	to.Deliver(streamed("room", 2))
	for e := c.event(); e.data != "2"; {
		e = c.event()
	}
	if st := n.Stats(); st.Dead != 0 || st.Pings == 0 {
		t.Errorf("%+v", st)
	}
}

// A peer that is frozen doesn't slow others, and is dropped.
func TestEventsFrozen(t *testing.T) {
	t.Parallel()
	o := gateway.Options{
		WebSocket: gateway.WebSocketOptions{PingInterval: 500 * time.Millisecond, PongTimeout: 500 * time.Millisecond},
		Clients:   gateway.ClientOptions{MaxLag: 64 << 20},
	}
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	frozen, other := openEventsWithin(t, n, "/sse/room", narrowWindow), openEvents(t, n, "/sse/room")
	frozen.event()
	other.event()
	const size, count = 50_000, 60
	for i := range count {
		to.Deliver(wide("room", i, size))
		e, err := other.next(false)
		if err != nil || e.id != streamID(i).String() || e.data != string(wide("room", i, size).Payload) {
			t.Fatalf("instead of message %d: %.100q %v", i, e, err)
		}
	}
	st := awaitStats(t, n, "it is dropped", func(st gateway.Stats) bool { return st.Clients == 1 })
	// By the shard or by the kernel, whichever is first.
	if st.Closed[1006] != 1 || st.Evicted != 0 {
		t.Errorf("%+v", st)
	}
	if _, err := io.Copy(io.Discard, frozen.in); err == nil {
		t.Error("it looks like an end")
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Error(err)
	}
	to.Deliver(streamed("room", count))
	other.expect(event{"", fmt.Sprint(count), streamID(count).String()})
}
