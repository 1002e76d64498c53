package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"warren/gateway"
	"warren/gateway/admin"
)

// The path is the channel, the body the payload, and Content-Type decides text
// or binary.
func TestPublish(t *testing.T) {
	long := strings.Repeat("c", 200)
	tests := []struct {
		name, path, contentType, body string
		channel                       string
		text                          bool
	}{
		{"text", "/publish/room", "text/plain", "hello", "room", true},
		{"parameters", "/publish/room", "Text/HTML ; charset=utf-8", "gr\u00fc\u00df", "room", true},
		{"json", "/publish/room", "application/json", `{"a":1}`, "room", true},
		{"no JSON", "/publish/room", "application/json", `{`, "room", true},
		{"no type", "/publish/room", "", "hello", "room", true},
		{"no type, no UTF-8", "/publish/room", "", "\xff\x00", "room", false},
		{"curl --data", "/publish/room", "application/x-www-form-urlencoded", "a=%41", "room", true},
		{"binary", "/publish/room", "application/octet-stream", "hello", "room", false},
		{"other type", "/publish/room", "image/png", "\x89PNG", "room", false},
		{"almost text", "/publish/room", "textual/plain", "hello", "room", false},
		{"lines of a channel", "/publish/room", "application/x-ndjson", "{}\n", "room", false},
		{"root", "/publish", "text/plain", "hello", "", true},
		{"empty", "/publish/room", "text/plain", "", "room", true},
		{"segments", "/publish/a/b.c_d:e-f~g", "", "x", "a/b.c_d:e-f~g", true},
		{"query", "/publish/room?channel=other", "", "x", "room", true},
		{"longest", "/publish/" + long, "", "x", long, true},
		{"largest", "/publish/room", "", strings.Repeat("x", 64<<10), "room", true},
	}
	f := newFake()
	s := start(t, admin.Options{}, f)
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.post(tt.path, tt.contentType, tt.body)
			r.is(t, http.StatusOK, "")
			if want := fmt.Sprintf("{\"mid\":\"node.boot-%d\"}\n", n+1); r.body != want || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("answer %q as %s, want %q", r.body, r.Header.Get("Content-Type"), want)
			}
			got := f.wait(t, n+1)[n]
			if got.Channel != tt.channel || string(got.Payload) != tt.body || got.Text != tt.text || got.Client != 0 {
				t.Errorf("published %+v", got)
			}
		})
	}
}

// What can't be published isn't, and the answer says why.
func TestRefuses(t *testing.T) {
	const channel = "no such channel"
	big := strings.Repeat("x", 64<<10+1)
	tests := []struct {
		name, method, path, contentType, body string
		status                                int
		detail                                string
	}{
		{"no name", "POST", "/publish/", "", "x", 404, channel},
		{"empty segment", "POST", "/publish/a//b", "", "x", 404, channel},
		{"slash at the end", "POST", "/publish/a/", "", "x", 404, channel},
		{"too long", "POST", "/publish/" + strings.Repeat("c", 201), "", "x", 404, channel},
		{"encoded letter", "POST", "/publish/%61", "", "x", 404, channel},
		{"encoded slash", "POST", "/publish/a%2Fb", "", "x", 404, channel},
		{"encoded space", "POST", "/publish/a%20b", "", "x", 404, channel},
		{"encoded path", "POST", "/%70ublish", "", "x", 404, "/publish/{channel}"},
		{"elsewhere", "POST", "/publisher", "", "x", 404, "/publish/{channel}"},
		{"at the root", "GET", "/", "", "", 404, "/publish/{channel}"},
		{"get", "GET", "/publish/room", "", "", 405, "POST"},
		{"put", "PUT", "/publish/room", "", "x", 405, "POST"},
		{"preflight", "OPTIONS", "/publish/room", "", "", 405, "POST"},
		{"delete of root", "DELETE", "/publish", "", "", 405, "POST"},
		{"get of a batch", "GET", "/publish", "application/x-ndjson", "", 405, "POST"},
		{"post of health", "POST", "/healthz", "", "", 405, "GET, HEAD"},
		{"text that is none", "POST", "/publish/room", "text/plain", "\xff", 400, "not valid UTF-8"},
		{"JSON that is none", "POST", "/publish/room", "application/json", "\"\xc3\"", 400, "not valid UTF-8"},
		{"too large", "POST", "/publish/room", "", big, 413, "65536 bytes"},
		{"root too large", "POST", "/publish", "", big, 413, "65536 bytes"},
	}
	f := newFake()
	s := start(t, admin.Options{}, f)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.do(s.request(tt.method, tt.path, tt.contentType, strings.NewReader(tt.body)))
			r.is(t, tt.status, tt.detail)
			if allow := r.Header.Get("Allow"); (allow == tt.detail) != (tt.status == 405) {
				t.Errorf("Allow %q", allow)
			}
		})
	}
	t.Run("encoded content", func(t *testing.T) {
		r := s.request("POST", "/publish/room", "", strings.NewReader("x"))
		r.Header.Set("Content-Encoding", "gzip")
		s.do(r).is(t, 415, "Content-Encoding")
	})
	if n := f.count(); n != 0 {
		t.Errorf("%d messages were published", n)
	}
}

// Pages of other sites can't publish, nor those that had their own name resolve
// to this machine.
func TestForeignPages(t *testing.T) {
	f := newFake()
	s := start(t, admin.Options{}, f)
	addr := s.Addr().String()
	_, port, _ := strings.Cut(addr, ":")
	tests := []struct {
		name, host, origin string
		status             int
	}{
		{"program", addr, "", 200},
		{"program by name", "localhost:" + port, "", 200},
		{"without port", "LOCALHOST", "", 200},
		{"IPv6", "[::1]:" + port, "", 200},
		{"own page", addr, "http://" + addr, 200},
		{"other site", addr, "https://evil.example", 403},
		{"other port", addr, "http://127.0.0.1:3000", 403},
		{"other name of the same", addr, "http://localhost:" + port, 403},
		{"sandbox", addr, "null", 403},
		{"two origins", addr, "http://" + addr + " https://evil.example", 403},
		{"rebound page", "evil.example:" + port, "http://evil.example:" + port, 421},
		{"rebound", "evil.example:" + port, "", 421},
		{"rebound, like an address", "127.0.0.1.evil.example:" + port, "", 421},
	}
	want := 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.request("POST", "/publish/room", "text/plain", strings.NewReader("x"))
			r.Host = tt.host
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			s.do(r).is(t, tt.status, "")
		})
		if tt.status == 200 {
			want++
		}
	}
	if n := f.count(); n != want {
		t.Errorf("%d messages were published, want %d", n, want)
	}
}

// What becomes of a message decides the status.
func TestOutcomes(t *testing.T) {
	away := fmt.Errorf("%w: connecting to amqp://h/", gateway.ErrAway)
	tests := []struct {
		name   string
		err    error
		status int
		detail string
	}{
		{"away", away, 503, "connecting to amqp://h/: not published"},
		{"stopping", gateway.ErrStopping, 503, "stopping: not published"},
		{"unconfirmed", gateway.ErrUnconfirmed, 504, "may be published yet"},
		{"refused", errors.New("too large for RabbitMQ"), 422, "too large for RabbitMQ"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			f.submit = func(int) error { return tt.err }
			s := start(t, admin.Options{}, f)
			s.post("/publish/room", "", "x").is(t, tt.status, tt.detail)
		})
	}
}

func TestConfirmTakesTooLong(t *testing.T) {
	f := newFake()
	f.settle = func(gateway.Message) {}
	s := start(t, admin.Options{ConfirmTimeout: time.Millisecond}, f)
	s.post("/publish/room", "", "x").is(t, http.StatusGatewayTimeout, "may be published yet")
}

func TestHealth(t *testing.T) {
	f := newFake()
	s := start(t, admin.Options{}, f)
	check := func(method, path string, status int, body string) {
		t.Helper()
		r := s.do(s.request(method, path, "", nil))
		if r.StatusCode != status || r.body != body || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %s %q", method, path, r.Status, r.body)
		}
	}
	const ok = `{"status":"ok"}` + "\n"
	check("GET", "/healthz", 200, ok)
	check("GET", "/readyz", 200, ok)
	check("HEAD", "/readyz", 200, "")
	f.mu.Lock()
	f.status = errors.New("connecting to amqp://h/")
	f.mu.Unlock()
	check("GET", "/healthz", 200, ok)
	check("GET", "/readyz", 503, `{"status":"unavailable","reason":"connecting to amqp://h/"}`+"\n")
	check("HEAD", "/readyz", 503, "")
}

// A stop lets those who wait for a confirm have it.
func TestStopWaitsForConfirms(t *testing.T) {
	f := newFake()
	f.settle = func(gateway.Message) {}
	s := start(t, admin.Options{StopTimeout: patience}, f)
	got := s.later(s.request("POST", "/publish/room", "", strings.NewReader("x")))
	m := f.wait(t, 1)[0]
	s.stop()
	for {
		// Until it listens no more: the stop has begun.
		if _, err := try(s.request("GET", "/healthz", "", nil)); err != nil {
			break
		}
	}
	m.Settled(idOf(0), nil)
	arrived(t, got).is(t, http.StatusOK, "")
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

// Nobody is left without an answer when the confirm never comes.
func TestStopAnswersTheUnconfirmed(t *testing.T) {
	f := newFake()
	f.settle = func(gateway.Message) {}
	s := start(t, admin.Options{ConfirmTimeout: time.Hour, StopTimeout: time.Millisecond}, f)
	single := s.later(s.request("POST", "/publish/room", "", strings.NewReader("x")))
	batch := s.later(s.request("POST", "/publish", ndjson, strings.NewReader(`{"channel":"a","data":1}`)))
	f.wait(t, 2)
	s.stop()
	arrived(t, single).is(t, http.StatusGatewayTimeout, "may be published yet")
	equal(t, outcomes(t, arrived(t, batch)), []string{"unconfirmed"})
}

// A connection serves one request after the other.
func TestKeptConnection(t *testing.T) {
	s := start(t, admin.Options{}, newFake())
	kept := http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: patience}
	defer kept.CloseIdleConnections()
	for n := range 3 {
		response, err := kept.Post(s.url("/publish/room"), "", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		var id struct{ Mid string }
		if err := json.NewDecoder(response.Body).Decode(&id); err != nil || id.Mid != idOf(n).String() {
			t.Errorf("message %d: %+v, %v", n, id, err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

func TestServeBeforeListen(t *testing.T) {
	if err := admin.New(admin.Options{}, newFake()).Serve(context.Background()); err == nil {
		t.Error("no error")
	}
}
