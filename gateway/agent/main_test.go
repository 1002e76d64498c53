package agent_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"warren/gateway"
	"warren/gateway/agent"
)

var _ agent.Node = (*gateway.Gateway)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what must happen: long, since the machine may be busy.
const patience = 60 * time.Second

// within is a context for one step of a test.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// fake is a node that is what the test says.
type fake struct {
	mu            sync.Mutex
	status        error
	now, capacity int64
}

func (f *fake) Status() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fake) Clients() (now, capacity int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now, f.capacity
}

func (f *fake) become(status error, now, capacity int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.now, f.capacity = status, now, capacity
}

// listen binds a free port for an agent.
func listen(t *testing.T, o agent.Options, node agent.Node) *agent.Server {
	t.Helper()
	s := agent.New(o, node)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return s
}

// serve runs s until stop, or until the test ends.
func serve(t *testing.T, s *agent.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
