package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"warren/gateway"
	"warren/gateway/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what must happen: long, since the machine may be busy.
const patience = 60 * time.Second

// within is a context for one step of a test.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// fake is a Node that keeps what it is given, and confirms as it is told.
type fake struct {
	mu        sync.Mutex
	status    error                   // guarded by mu
	submit    func(n int) error       // guarded by mu: of message n from 0; nil takes all
	settle    func(m gateway.Message) // guarded by mu: nil confirms at once
	published []gateway.Message       // guarded by mu
	changed   chan struct{}           // guarded by mu: closed and replaced at each message
	drained   gateway.DrainState      // guarded by mu
}

func newFake() *fake { return &fake{changed: make(chan struct{})} }

func idOf(n int) gateway.MessageID {
	return gateway.MessageID{Publisher: "node.boot", Seq: uint64(n) + 1}
}

func (f *fake) Submit(_ context.Context, m gateway.Message) error {
	f.mu.Lock()
	n, settle := len(f.published), f.settle
	if f.submit != nil {
		if err := f.submit(n); err != nil {
			f.mu.Unlock()
			return err
		}
	}
	m.Payload = append([]byte(nil), m.Payload...)
	f.published = append(f.published, m)
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	if settle != nil {
		settle(m)
	} else if m.Settled != nil {
		m.Settled(idOf(n), nil)
	}
	return nil
}

func (f *fake) Publish(ctx context.Context, m gateway.Message) (gateway.MessageID, error) {
	settled := make(chan error, 1)
	var id gateway.MessageID
	m.Settled = func(i gateway.MessageID, err error) { id = i; settled <- err }
	if err := f.Submit(ctx, m); err != nil {
		return id, err
	}
	select {
	case err := <-settled:
		return id, err
	case <-ctx.Done():
		return gateway.MessageID{}, gateway.ErrUnconfirmed
	}
}

func (f *fake) Status() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fake) Drain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained.Phase == gateway.Serving {
		f.drained.Phase, f.status = gateway.Announced, gateway.ErrDraining
	}
}

func (f *fake) Undrain() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained.Phase == gateway.Stopping {
		return gateway.ErrStopping
	}
	f.drained.Phase, f.status = gateway.Serving, nil
	return nil
}

func (f *fake) Drained() gateway.DrainState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drained
}

// leave makes it a node in some phase of a drain.
func (f *fake) leave(phase gateway.DrainPhase, clients int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drained = gateway.DrainState{Phase: phase, Clients: clients}
}

// wait returns what was published once it is at least n messages.
func (f *fake) wait(t *testing.T, n int) []gateway.Message {
	t.Helper()
	ctx := within(t)
	for {
		f.mu.Lock()
		got, changed := f.published, f.changed
		f.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%d messages were published, want %d", len(got), n)
		}
	}
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.published)
}

// server is an admin listener that serves until the test ends.
type server struct {
	*admin.Server
	t    *testing.T
	stop context.CancelFunc
	done <-chan error // of Serve
}

func start(t *testing.T, o admin.Options, node admin.Node) *server {
	t.Helper()
	s := admin.New(o, node)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return run(t, s)
}

// run serves until the test ends.
func run(t *testing.T, s *admin.Server) *server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx); close(done) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return &server{s, t, stop, done}
}

func (s *server) url(path string) string { return "http://" + s.Addr().String() + path }

// client makes a connection for each request.
var client = http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// reply is a response that was read.
type reply struct {
	*http.Response
	body string
}

func (s *server) do(r *http.Request) reply {
	s.t.Helper()
	got, err := try(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// try may be called from any goroutine.
func try(r *http.Request) (reply, error) {
	response, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response, string(body)}, err
}

// later sends a request and returns where its response will be.
func (s *server) later(r *http.Request) <-chan reply {
	got := make(chan reply, 1)
	go func() {
		defer close(got)
		answer, err := try(r)
		if err != nil {
			s.t.Error(err)
			return
		}
		got <- answer
	}()
	s.t.Cleanup(func() {
		for range got { // until it has ended
		}
	})
	return got
}

// arrived is what later will have.
func arrived(t *testing.T, later <-chan reply) reply {
	t.Helper()
	r, ok := <-later
	if !ok {
		t.FailNow() // it was reported
	}
	return r
}

func (s *server) request(method, path, contentType string, body io.Reader) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(within(s.t), method, s.url(path), body)
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// post publishes body.
func (s *server) post(path, contentType, body string) reply {
	s.t.Helper()
	return s.do(s.request(http.MethodPost, path, contentType, strings.NewReader(body)))
}

// is checks the status; of a refusal also that it is a problem (RFC 9457) whose
// detail has part.
func (r reply) is(t *testing.T, status int, part string) {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s", r.Status, r.body)
	}
	if status < 400 {
		return
	}
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	if p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Status != status || !strings.Contains(p.Detail, part) {
		t.Errorf("problem %s, want detail with %q", r.body, part)
	}
	retry := r.Header.Get("Retry-After")
	if (retry != "") != (status == http.StatusServiceUnavailable) || len(retry) > 1 || retry == "0" {
		t.Errorf("%d with Retry-After %q", status, retry)
	}
}

// raw sends text and returns the response to it, of which nothing is read yet
// but the head.
func (s *server) raw(t *testing.T, text string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return response
}
