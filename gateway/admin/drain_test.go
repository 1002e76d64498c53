package admin_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"warren/gateway"
	"warren/gateway/admin"
)

// drain asks for /drain and checks the answer.
func (s *server) drain(method string, status int, body string) {
	s.t.Helper()
	r := s.do(s.request(method, "/drain", "", nil))
	if r.StatusCode != status || strings.TrimSuffix(r.body, "\n") != body || r.Header.Get("Content-Type") != "application/json" {
		s.t.Errorf("%s /drain: %s %s %q, want %d %s", method, r.Status, r.Header.Get("Content-Type"), r.body, status, body)
	}
}

func TestDrain(t *testing.T) {
	f := newFake()
	s := start(t, admin.Options{}, f)
	f.leave(gateway.Serving, 123)
	s.drain("GET", 200, `{"phase":"serving","clients":123}`)
	s.drain("HEAD", 200, "")
	s.drain("DELETE", 200, `{"phase":"serving","clients":123}`) // there was none
	s.drain("POST", 202, `{"phase":"announced","clients":123}`)
	s.drain("POST", 202, `{"phase":"announced","clients":123}`)
	s.drain("GET", 200, `{"phase":"announced","clients":123}`)
	r := s.do(s.request("GET", "/readyz", "", nil))
	if want := `{"status":"unavailable","reason":"the node is draining"}` + "\n"; r.StatusCode != 503 || r.body != want {
		t.Errorf("/readyz: %s %s", r.Status, r.body)
	}
	f.leave(gateway.Emptying, 7)
	s.drain("GET", 200, `{"phase":"emptying","clients":7}`)
	f.leave(gateway.Empty, 0)
	s.drain("GET", 200, `{"phase":"empty","clients":0}`)
	s.drain("DELETE", 200, `{"phase":"serving","clients":0}`)
	f.leave(gateway.Stopping, 2)
	s.do(s.request("DELETE", "/drain", "", nil)).is(t, http.StatusConflict, "the node is stopping")
	s.drain("POST", 202, `{"phase":"stopping","clients":2}`)
	s.drain("GET", 200, `{"phase":"stopping","clients":2}`)
}

// What must not reach /drain changes nothing.
func TestDrainRefused(t *testing.T) {
	f := newFake()
	s := start(t, admin.Options{}, f)
	addr := s.Addr().String()
	for _, tt := range []struct {
		name, method, path string
		host, origin       string
		status             int
	}{
		{"put", "PUT", "/drain", addr, "", 405},
		{"options", "OPTIONS", "/drain", addr, "", 405},
		{"below", "POST", "/drain/now", addr, "", 404},
		{"encoded", "POST", "/%64rain", addr, "", 404},
		{"page of another site", "POST", "/drain", addr, "https://evil.example", 403},
		{"rebound", "POST", "/drain", "evil.example", "", 421},
		{"read by a page of another site", "GET", "/drain", addr, "https://evil.example", 403},
	} {
		r := s.request(tt.method, tt.path, "", strings.NewReader("x"))
		r.Host = tt.host
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		got := s.do(r)
		t.Run(tt.name, func(t *testing.T) { got.is(t, tt.status, "") })
		if allow := got.Header.Get("Allow"); tt.status == 405 && allow != "GET, HEAD, POST, DELETE" {
			t.Errorf("%s: Allow is %q", tt.name, allow)
		}
	}
	if state := f.Drained(); state.Phase != gateway.Serving {
		t.Errorf("the node is %v", state.Phase)
	}
}

// A node that drains goes on publishing, also when nobody is left.
func TestPublishWhileDraining(t *testing.T) {
	n := startNode(t, admin.Options{}, gateway.NewEmbedded())
	c := n.listen("/ws/room")
	if r := n.do(n.request("POST", "/drain", "", nil)); r.StatusCode != http.StatusAccepted {
		t.Fatalf("%s %s", r.Status, r.body)
	}
	if _, _, err := c.Read(within(t)); websocket.CloseStatus(err) != 1012 {
		t.Errorf("the client was closed with %v", err)
	}
	const empty = `{"phase":"empty","clients":0}` + "\n"
	ctx := within(t)
	for n.do(n.request("GET", "/drain", "", nil)).body != empty {
		mid(t, n.post("/publish/room", "", "to the last"))
		if ctx.Err() != nil {
			t.Fatal("never empty")
		}
	}
	mid(t, n.post("/publish/room", "", "to nobody"))
	n.drain("DELETE", 200, `{"phase":"serving","clients":0}`)
	n.ready()
	c = n.listen("/ws/room")
	mid(t, n.post("/publish/room", "", "again"))
	expect(t, c, websocket.MessageText, "again")
}

// A socket that another has open as well is left, and still listens.
func TestAdopt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 2 { // one process after the other
		adopted, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		a := admin.New(admin.Options{}, newFake())
		if err := a.Adopt(adopted); err != nil {
			t.Fatal(err)
		}
		if err := a.Adopt(adopted); err == nil {
			t.Error("adopted two")
		}
		s := run(t, a)
		s.post("/publish/room", "", "x").is(t, 200, "")
		rebound := s.request("POST", "/publish/room", "", strings.NewReader("x"))
		rebound.Host = "evil.example"
		s.do(rebound).is(t, http.StatusMisdirectedRequest, "Host")
		s.stop()
		if err := <-s.done; err != nil {
			t.Error(err)
		}
	}
}
