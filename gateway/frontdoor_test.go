package gateway_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"warren/gateway"
)

// logged collects log lines.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns the lines since the last call.
func (l *logged) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(l.b.String(), "\n")
	l.b.Reset()
	return lines[:len(lines)-1]
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// expectRefusal wants an error with a body of one line, and an orderly end.
func (c *rawConn) expectRefusal(status int) (r *http.Response, reason string) {
	c.t.Helper()
	r, reason = c.response()
	if r.StatusCode != status {
		c.t.Errorf("got %s %q, want %d", r.Status, reason, status)
	}
	if len(reason) < 5 || strings.Index(reason, "\n") != len(reason)-1 {
		c.t.Errorf("the body is not one line: %q", reason)
	}
	if !r.Close {
		c.t.Errorf("the connection is not said to close: %v", r.Header)
	}
	c.expectEnd()
	return r, strings.TrimSpace(reason)
}

type refusal struct {
	name   string
	head   string
	status int
	says   string // a part of the reason
}

// refusals are requests that get an answer of the front door's own.
func refusals() []refusal {
	upgrade := upgradeHead("/ws/room")
	// edit replaces a part of a good handshake.
	edit := func(old, with string) string {
		if !strings.Contains(upgrade, old) {
			panic(old)
		}
		return strings.Replace(upgrade, old, with, 1)
	}
	with := func(line string) string { return upgradeHead("/ws/room", line) }
	path := func(p string) string { return upgradeHead(p) }
	return []refusal{
		{"no request line", "HELLO\r\n\r\n", 400, "request line"},
		{"no version", "GET /ws\r\n\r\n", 400, "request line"},
		{"HTTP/2", rawHead("GET /ws HTTP/2.0", "Host: a"), 505, "version"},
		{"bare LF", strings.ReplaceAll(upgrade, "\r\n", "\n"), 400, "LF"},
		{"bare LF in one line", edit("Upgrade: websocket\r\n", "Upgrade: websocket\n"), 400, "LF"},
		{"bare CR", with("X: a\rb"), 400, "CR"},
		{"NUL in a field", with("X: a\x00b"), 400, "control"},
		{"folded field", with("X: a\r\n b"), 400, "white space"},
		{"space before a colon", edit("Host:", "Host :"), 400, "colon"},
		{"field without a colon", with("X"), 400, "colon"},
		{"fragment", path("/ws#a"), 400, "fragment"},
		{"bad escape", path("/ws/%4"), 400, "%"},
		{"no Host", edit("Host: warren.test\r\n", ""), 400, "Host"},
		{"two Hosts", with("Host: other.test"), 400, "Host"},
		{"Content-Length", with("Content-Length: 0"), 400, "Content-Length"},
		{"Transfer-Encoding", with("Transfer-Encoding: chunked"), 400, "Transfer-Encoding"},
		{"both", rawHead("POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"), 400, "body length"},
		{"POST", edit("GET", "POST"), 400, "GET"},
		{"HTTP/1.0", edit("HTTP/1.1", "HTTP/1.0"), 400, "HTTP/1.1"},
		{"no Connection: Upgrade", edit("Connection: Upgrade\r\n", ""), 400, "Connection"},
		{"several protocols", with("Upgrade: h2c"), 400, "Upgrade"},
		{"no key", edit("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "Key"},
		{"two keys", with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "Key"},
		{"short key", edit("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), 400, "Key"},
		{"key that is no base64", edit("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!A=="), 400, "Key"},
		{"no version of WebSocket", edit("Sec-WebSocket-Version: 13\r\n", ""), 400, "Version"},
		{"old version of WebSocket", edit("Version: 13", "Version: 8"), 426, "13"},
		{"WebSocket at /", path("/"), 404, "path"},
		{"WebSocket elsewhere", path("/wss"), 404, "path"},
		{"path in other letters", path("/WS"), 404, "path"},
		{"empty channel", path("/ws/"), 404, "channel"},
		{"empty segment", path("/ws/a//b"), 404, "channel"},
		{"encoded channel", path("/ws/%61"), 404, "channel"},
		{"long channel", path("/ws/" + strings.Repeat("a", 201)), 404, "channel"},
		{"history that is no number", path("/ws/room?history=ten"), 400, "history"},
		{"history without a value", path("/ws?a=1&history"), 400, "history"},
		{"history twice", path("/ws?history=1&history=1"), 400, "history"},
		{"id of a wrong form", path("/ws/room?since=12"), 400, "since"},
		{"id without an offset", path("/ws/room?since=-0badcafe"), 400, "since"},
		{"id with a check of 0", path("/ws/room?since=12-00000000"), 400, "since"},
		{"id that is encoded", path("/ws/room?since=12%2D0badcafe"), 400, "since"},
		{"two ids", path("/ws/room?since=12-0badcafe&since=12-0badcafe"), 400, "since"},
		{"foreign origin", with("Origin: https://other.test"), 403, "origin"},
		{"two origins", with("Origin: http://warren.test\r\nOrigin: http://other.test"), 400, "Origin"},
		{"plain request to a channel", plainHead("GET /ws/room"), 426, "WebSocket"},
		{"plain request to no channel", plainHead("GET /ws/"), 426, "WebSocket"},
		{"long line", "GET /" + strings.Repeat("a", 8<<10), 431, "8192"},
		{"many fields", with(strings.Repeat("X: "+strings.Repeat("a", 95)+"\r\n", 100) + "Y: b"), 431, "8192"},
	}
}

func TestRefusals(t *testing.T) {
	var log logged
	n := start(t, gateway.Options{Page: page, Logger: log.logger()}, newRecorder())
	want := map[int]uint64{}
	for _, tt := range refusals() {
		for how, write := range map[string]func(*rawConn){
			"whole":    func(c *rawConn) { c.put(tt.head) },
			"bytewise": func(c *rawConn) { c.drip(tt.head) },
			// What nobody reads must not turn the answer into a reset.
			"with more": func(c *rawConn) {
				c.put(tt.head)
				c.flood(1 << 20)
			},
		} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				log.take()
				c := connectRaw(t, n)
				write(c)
				r, reason := c.expectRefusal(tt.status)
				if !strings.Contains(reason, tt.says) {
					t.Errorf("the reason %q doesn't say %q", reason, tt.says)
				}
				if tt.status == http.StatusUpgradeRequired && (r.Header.Get("Sec-WebSocket-Version") != "13" || r.Header.Get("Upgrade") != "websocket") {
					t.Errorf("no version is offered: %v", r.Header)
				}
				want[tt.status]++
				if got := n.Stats().Refused; !maps.Equal(got, want) {
					t.Errorf("counted %v, want %v", got, want)
				}
				lines := log.take()
				if len(lines) != 1 || !strings.Contains(lines[0], "level=DEBUG") ||
					!strings.Contains(lines[0], strconv.Quote(c.LocalAddr().String())) && !strings.Contains(lines[0], "client="+c.LocalAddr().String()) ||
					!strings.Contains(lines[0], strings.Trim(strconv.Quote(reason), `"`)) {
					t.Errorf("logged %q", lines)
				}
			})
		}
	}
}

// TestNotHTTP closes what doesn't begin like a request, without an answer.
func TestNotHTTP(t *testing.T) {
	var log logged
	n := start(t, gateway.Options{Logger: log.logger()}, newRecorder())
	begins := []string{"\x16\x03\x01\x02\x00\x01", "\x00", "\n", "get / HTTP/1.1\r\n\r\n", " GET", "\xff", "\r\n\r\n", "@", "["}
	for i, begin := range begins {
		c := connectRaw(t, n)
		c.put(begin)
		c.expectCut()
		if lines := log.take(); len(lines) != 1 || !strings.Contains(lines[0], "not HTTP") {
			t.Errorf("%q: logged %q", begin, lines)
		}
		if got := n.Stats().NotHTTP; got != uint64(i+1) {
			t.Errorf("%q: counted %d, want %d", begin, got, i+1)
		}
	}
}

// TestLargestHead has the largest head pass and one byte more refused.
func TestLargestHead(t *testing.T) {
	n := start(t, gateway.Options{}, newRecorder())
	for _, over := range []int{0, 1} {
		for _, write := range []func(*rawConn, ...string){(*rawConn).put, (*rawConn).drip} {
			pad := 8<<10 + over - len(upgradeHead("/ws", "X: "))
			c := connectRaw(t, n)
			write(c, upgradeHead("/ws", "X: "+strings.Repeat("a", pad)))
			if over == 0 {
				c.expectOpen()
			} else {
				c.expectRefusal(431)
			}
		}
	}
}

func TestHandshakeDeadline(t *testing.T) {
	for _, tt := range []struct {
		name string
		say  string
		drip bool
	}{
		{"nothing", "", false},
		{"half a head", "GET /ws HTTP/1.1\r\nHost: a\r\n", false},
		{"a byte now and then", "GET /ws HTTP/1.1\r\nX: ", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := start(t, gateway.Options{WebSocket: gateway.WebSocketOptions{HandshakeTimeout: 300 * time.Millisecond}}, newRecorder())
			c := connectRaw(t, n)
			c.put(tt.say)
			if tt.drip {
				// The deadline is for the whole head, not for each byte.
				cut := make(chan struct{})
				var writer sync.WaitGroup
				writer.Go(func() {
					tick := time.NewTicker(20 * time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-tick.C:
							_, _ = c.Write([]byte{'a'})
						case <-cut:
							return
						}
					}
				})
				defer writer.Wait()
				defer close(cut)
			}
			c.expectCut()
			st := awaitStats(t, n, "cut", func(st gateway.Stats) bool { return st.Connections == 0 })
			if st.TimedOut != 1 || st.Inbound != 0 {
				t.Errorf("counts: %+v", st)
			}
		})
	}
}

// TestHalfOpenHandshakes has a thousand of them do no harm to clients, and be
// gone when their time is up.
func TestHalfOpenHandshakes(t *testing.T) {
	const many = 1000
	n := start(t, gateway.Options{WebSocket: gateway.WebSocketOptions{HandshakeTimeout: 2 * time.Second}}, nil)
	c := openRaw(t, n, "/ws/room")
	trip := func(i int) {
		t.Helper()
		c.put(masked(rawFin|rawText, fmt.Sprint(i)))
		c.expectFrame(rawFin|rawText, fmt.Sprint(i))
	}
	var halves []*rawConn
	for i := range many {
		h := connectRaw(t, n)
		h.put("GET /ws/room HTTP/1.1\r\nHost: ")
		halves = append(halves, h)
		trip(i)
	}
	trips := 0
	for st := n.Stats(); st.TimedOut < many; st = n.Stats() {
		trip(trips)
		trips++
		if st.Clients != 1 {
			t.Fatalf("counts: %+v", st)
		}
	}
	if trips == 0 {
		t.Error("no half-open handshake was left when all had begun: raise the deadline")
	}
	for _, h := range halves {
		h.expectCut()
	}
	trip(trips)
	if st := n.Stats(); st.TimedOut != many || st.Connections != 1 || st.Inbound != 0 {
		t.Errorf("counts: %+v", st)
	}
}

func TestMaxClients(t *testing.T) {
	n := start(t, gateway.Options{Page: page, Clients: gateway.ClientOptions{Max: 2}}, newRecorder())
	refused := func() {
		t.Helper()
		c := connectRaw(t, n)
		c.put(upgradeHead("/ws/room"))
		if r, _ := c.expectRefusal(503); r.Header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", r.Header)
		}
	}
	first, second := openRaw(t, n, "/ws/room"), openRaw(t, n, "/ws/room")
	refused()
	refused()
	c := connectRaw(t, n)
	c.put(plainHead("GET /readyz"))
	if r, body := c.response(); r.StatusCode != 200 {
		t.Errorf("a full node must still be checked: %s %s", r.Status, body)
	}
	first.put(masked(rawFin|rawClose, ""))
	first.expectClose(0)
	third := openRaw(t, n, "/ws/room")
	refused()
	for _, c := range []*rawConn{second, third} {
		c.put(masked(rawFin|rawPing, ""))
		c.expectFrame(rawFin|rawPong, "")
		_ = c.Close()
	}
	awaitStats(t, n, "no clients", func(st gateway.Stats) bool { return st.Clients == 0 })
	openRaw(t, n, "/ws/room")
	openRaw(t, n, "/ws/room")
	refused()
}

func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		origins []string
		origin  string // "-" for none
		allowed bool
	}{
		{nil, "-", true},
		{nil, "http://warren.test", true},
		{nil, "https://warren.test", true},
		{nil, "https://WARREN.test", true},
		{nil, "http://warren.test:8080", false},
		{nil, "http://sub.warren.test", false},
		{nil, "http://warren.test.evil.test", false},
		{nil, "null", false},
		{nil, "", false},
		{[]string{"https://app.test"}, "https://app.test", true},
		{[]string{"https://app.test"}, "https://app.test:443", true},
		{[]string{"https://app.test"}, "http://app.test", false},
		{[]string{"https://app.test"}, "https://app.test:8443", false},
		{[]string{"https://app.test"}, "https://warren.test", true},
		{[]string{"https://app.test", "http://localhost:3000"}, "http://localhost:3000", true},
		{[]string{"*"}, "https://anything.test", true},
		{[]string{"*"}, "null", true},
	} {
		t.Run(fmt.Sprintf("%s for %v", tt.origin, tt.origins), func(t *testing.T) {
			n := start(t, gateway.Options{WebSocket: gateway.WebSocketOptions{Origins: tt.origins}}, newRecorder())
			var fields []string
			if tt.origin != "-" {
				fields = []string{"Origin: " + tt.origin}
			}
			c := connectRaw(t, n)
			c.put(upgradeHead("/ws/room", fields...))
			if tt.allowed {
				c.expectOpen()
			} else {
				c.expectRefusal(http.StatusForbidden)
			}
		})
	}
}

// TestPath has WebSockets somewhere else than at /ws.
func TestPath(t *testing.T) {
	n := start(t, gateway.Options{Page: page, WebSocket: gateway.WebSocketOptions{Path: "/live/socket"}}, nil)
	root, room := openRaw(t, n, "/live/socket"), openRaw(t, n, "/live/socket/a/b?token=c")
	room.put(masked(rawFin|rawText, "a"))
	room.expectFrame(rawFin|rawText, "a")
	root.expectFrame(rawFin|rawText, "a")
	for _, path := range []string{"/ws", "/ws/room", "/live", "/live/sockets"} {
		c := connectRaw(t, n)
		c.put(upgradeHead(path))
		c.expectRefusal(http.StatusNotFound)
	}
}
