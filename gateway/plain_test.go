package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"warren/gateway"
)

// page says which request it got.
var page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "page for %s %s", r.Method, r.URL.Path)
})

// plainHead is a request of HTTP/1.1 for no WebSocket.
func plainHead(request string, fields ...string) string {
	return rawHead(append([]string{request + " HTTP/1.1", "Host: warren.test"}, fields...)...)
}

func TestPlainRequests(t *testing.T) {
	broken := newRecorder()
	broken.status = constError("no link to the broker")
	healthy := start(t, gateway.Options{Page: page}, newRecorder())
	unhealthy := start(t, gateway.Options{Page: page}, broken)
	elsewhere := start(t, gateway.Options{Page: page, WebSocket: gateway.WebSocketOptions{Path: "/live/socket"}}, newRecorder())
	pageless := start(t, gateway.Options{}, newRecorder())
	for _, tt := range []struct {
		name   string
		n      *node
		send   string
		status int
		says   string // a part of the body
	}{
		{"page", healthy, plainHead("GET /"), 200, "page for GET /"},
		{"page with a query", healthy, plainHead("GET /?a=%20"), 200, "page for GET /"},
		{"page at the path of WebSockets", healthy, plainHead("GET /ws"), 200, "page for GET /ws"},
		{"page elsewhere", elsewhere, plainHead("GET /live/socket"), 200, "page for GET /live/socket"},
		{"absolute target", healthy, rawHead("GET http://warren.test/ws HTTP/1.1", "Host: warren.test"), 200, "page for GET /ws"},
		{"other upgrade", healthy, plainHead("GET /", "Upgrade: h2c", "Connection: Upgrade"), 200, "page for"},
		{"no page", pageless, plainHead("GET /"), 404, "not found"},
		{"channel", healthy, plainHead("GET /ws/room"), 426, "WebSocket"},
		{"no channel", healthy, plainHead("GET /ws/"), 426, "WebSocket"},
		{"channel elsewhere", elsewhere, plainHead("GET /live/socket/room"), 426, "WebSocket"},
		{"POST to a channel", healthy, plainHead("POST /ws/room", "Content-Length: 3") + "abc", 426, "WebSocket"},
		{"unknown path", healthy, plainHead("GET /nothing"), 404, "not found"},
		{"path of WebSockets where it isn't", elsewhere, plainHead("GET /ws"), 404, "not found"},
		{"POST", healthy, plainHead("POST /", "Content-Length: 3") + "abc", 405, "Method Not Allowed"},
		{"alive", healthy, plainHead("GET /healthz"), 200, `"status":"ok"`},
		{"ready", healthy, plainHead("GET /readyz"), 200, `"status":"ok"`},
		{"ready, asked by HTTP/1.0 without Host", healthy, rawHead("GET /readyz HTTP/1.0"), 200, `"status":"ok"`},
		{"alive without a broker", unhealthy, plainHead("GET /healthz"), 200, `"status":"ok"`},
		{"not ready", unhealthy, plainHead("GET /readyz"), 503, "no link to the broker"},
		{"not ready, asked by HTTP/1.0 without Host", unhealthy, rawHead("GET /readyz HTTP/1.0"), 503, "no link to the broker"},
		{"kept alive", healthy, plainHead("GET /", "Connection: keep-alive"), 200, "page for GET /"},
		{"kept alive, HTTP/1.0", healthy, rawHead("GET / HTTP/1.0", "Connection: keep-alive"), 200, "page for GET /"},
		{"pipelined", healthy, plainHead("GET /") + plainHead("GET /healthz"), 200, "page for GET /"},
		{"WebSocket pipelined", healthy, plainHead("GET /") + upgradeHead("/ws"), 200, "page for GET /"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, write := range []func(*rawConn, ...string){(*rawConn).put, (*rawConn).drip} {
				c := connectRaw(t, tt.n)
				write(c, tt.send)
				r, body := c.response()
				if r.StatusCode != tt.status || !strings.Contains(body, tt.says) {
					t.Errorf("got %s %q, want %d and %q", r.Status, body, tt.status, tt.says)
				}
				if !r.Close || r.Header.Get("Connection") == "keep-alive" {
					t.Errorf("the connection is not said to close: %v", r.Header)
				}
				if tt.status == 426 && (r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-WebSocket-Version") != "13") {
					t.Errorf("no WebSocket is offered: %v", r.Header)
				}
				c.expectEnd() // one request a connection
			}
		})
	}
}

type constError string

func (e constError) Error() string { return string(e) }

// TestPlainInFull wants a response in full though more is sent than is read: a
// reset would cost what of it the client's window did not admit.
func TestPlainInFull(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", narrow/16)
	n := start(t, gateway.Options{Page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, large)
	})}, newRecorder())
	for name, head := range map[string]string{
		"bytes behind the request": plainHead("GET /"),
		"body that nobody reads":   plainHead("POST /ws/room", "Content-Length: 4194304"),
	} {
		t.Run(name, func(t *testing.T) {
			c := connectNarrow(t, n)
			c.put(head)
			<-c.flood(4 << 20)
			r, body := c.response()
			if r.StatusCode == 200 && body != large {
				t.Errorf("%d bytes of %d came", len(body), narrow)
			}
			c.expectEnd()
		})
	}
}

// plainRequests is how many the gateway serves at once.
const plainRequests = 128

// TestManyPlainRequests has those beyond the limit refused, not left waiting,
// and the places given back.
func TestManyPlainRequests(t *testing.T) {
	const most, more = plainRequests, 40
	entered, release := make(chan struct{}, 100*most), make(chan struct{})
	n := start(t, gateway.Options{Page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
	})}, newRecorder())
	ask := func(count int) (conns []*rawConn) {
		for range count {
			c := connectRaw(t, n)
			c.put(plainHead("GET /"))
			conns = append(conns, c)
		}
		return conns
	}
	served := ask(most)
	for range most {
		select {
		case <-entered:
		case <-time.After(patience):
			t.Fatal("not all are served that should be")
		}
	}
	for _, c := range ask(more) {
		if r, _ := c.expectRefusal(503); r.Header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", r.Header)
		}
	}
	// WebSockets don't mind.
	c := openRaw(t, n, "/ws/room")
	c.put(masked(rawFin|rawPing, ""))
	c.expectFrame(rawFin|rawPong, "")

	close(release)
	for _, c := range served {
		if r, _ := c.response(); r.StatusCode != 200 {
			t.Errorf("got %s", r.Status)
		}
		c.expectEnd()
		_ = c.Close()
	}
	// As many are served again; a place is free only once the gateway has seen
	// its connection close.
	for again, tries := 0, 0; again < most; tries++ {
		c := ask(1)[0]
		if r, _ := c.response(); r.StatusCode == 200 {
			again++
		} else if tries > 20*most {
			t.Fatalf("%d of %d places were given back", again, most)
		}
		c.expectEnd()
		_ = c.Close()
	}
	if st := n.Stats(); st.Refused[503] < more {
		t.Errorf("counts: %+v", st)
	}
}

// TestTooManyPlainAtOnce sends more than the limit in one rush: each gets an
// answer.
func TestTooManyPlainAtOnce(t *testing.T) {
	const most, more = plainRequests, 100
	release := make(chan struct{})
	n := start(t, gateway.Options{Page: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })}, newRecorder())
	var conns []*rawConn
	for range most + more {
		conns = append(conns, connectRaw(t, n))
	}
	answers := make(chan int, len(conns))
	var clients sync.WaitGroup
	for _, c := range conns {
		clients.Go(func() {
			_, _ = c.Write([]byte(plainHead("GET /")))
			status := 0 // none
			if r, err := http.ReadResponse(c.in, nil); err == nil {
				status = r.StatusCode
				_ = r.Body.Close()
			}
			answers <- status
		})
	}
	got := map[int]int{}
	for range more {
		got[<-answers]++
	}
	close(release)
	clients.Wait()
	for range most {
		got[<-answers]++
	}
	if got[503] != more || got[200] != most {
		t.Errorf("answers by status: %v", got)
	}
}
