package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"warren/gateway"
	"warren/gateway/agent"
)

// dial connects to an agent.
func dial(t *testing.T, s *agent.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask returns all that an agent says.
func ask(t *testing.T, s *agent.Server) string {
	t.Helper()
	c := dial(t, s)
	defer c.Close()
	said, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("read %q, then %v", said, err)
	}
	return string(said)
}

func TestAnswers(t *testing.T) {
	away := errors.New("away")
	tests := []struct {
		name          string
		status        error
		now, capacity int64
		want          string
	}{
		{"empty", nil, 0, 1000, "ready up 100%\n"},
		{"first client", nil, 1, 1000, "ready up 100%\n"},
		{"a quarter", nil, 250, 1000, "ready up 75%\n"},
		{"rounded up", nil, 251, 1000, "ready up 75%\n"},
		{"then down", nil, 260, 1000, "ready up 74%\n"},
		{"one place left", nil, 999_999, 1_000_000, "ready up 1%\n"},
		{"full", nil, 1000, 1000, "ready up 0%\n"},
		{"more than full", nil, 1003, 1000, "ready up 0%\n"},
		{"never full", nil, 1000, 0, "ready up 100%\n"},
		{"below nothing", nil, -1, 1000, "ready up 100%\n"},
		{"drains", gateway.ErrDraining, 5, 10, "drain\n"},
		{"drains for a reason", fmt.Errorf("for a while: %w", gateway.ErrDraining), 5, 10, "drain\n"},
		{"stops", gateway.ErrStopping, 5, 10, "drain\n"},
		{"away", fmt.Errorf("the exchange: %w", away), 5, 10, "down #the exchange: away\n"},
		{"says nothing", errors.New(""), 5, 10, "down #\n"},
		{"odd characters", errors.New("a \"b\"\r\nc\t\x00\x7f#ä\xff%"), 5, 10, "down #a 'b'  c  ?#??%\n"},
		{"wordy", errors.New(strings.Repeat("ä", 5000)), 5, 10, "down #" + strings.Repeat("?", 100) + "\n"},
	}
	f := &fake{}
	s := listen(t, agent.Options{}, f)
	serve(t, s)
	for _, tt := range tests {
		f.become(tt.status, tt.now, tt.capacity)
		if got := ask(t, s); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A node that fills loses weight step by step, and is at 0 only when it is full.
func TestWeightFalls(t *testing.T) {
	const capacity = 1777
	f := &fake{}
	s := listen(t, agent.Options{}, f)
	serve(t, s)
	last := 101
	for now := int64(0); now <= capacity; now += 1 + now%7 {
		f.become(nil, now, capacity)
		var percent int
		if _, err := fmt.Sscanf(ask(t, s), "ready up %d%%\n", &percent); err != nil {
			t.Fatal(err)
		}
		if percent > last || (percent == 0) != (now == capacity) {
			t.Errorf("%d of %d: %d%%, was %d%%", now, capacity, percent, last)
		}
		last = percent
	}
}

// What HAProxy sends (agent-send) is read: else the close would be a reset.
func TestInputIsRead(t *testing.T) {
	s := listen(t, agent.Options{}, &fake{capacity: 1})
	c := dial(t, s)
	if _, err := io.WriteString(c, "node1\n"); err != nil {
		t.Fatal(err)
	}
	serve(t, s) // so that it is there when the answer is written
	said, err := io.ReadAll(c)
	if err != nil || string(said) != "ready up 100%\n" {
		t.Errorf("read %q, %v", said, err)
	}
}

// More peers than are served at a time, which don't close: each gets its line,
// since those before it are cut.
func TestPeersThatStay(t *testing.T) {
	s := listen(t, agent.Options{Timeout: 2 * time.Second}, &fake{capacity: 1})
	serve(t, s)
	var peers sync.WaitGroup
	for i := range 40 {
		c := dial(t, s)
		peers.Go(func() {
			line := make([]byte, len("ready up 100%\n"))
			if _, err := io.ReadFull(c, line); err != nil || string(line) != "ready up 100%\n" {
				t.Errorf("peer %d read %q, %v", i, line, err)
			}
		})
	}
	peers.Wait()
}

// A peer that never stops to send is cut before its time.
func TestPeerThatTalks(t *testing.T) {
	s := listen(t, agent.Options{Timeout: time.Hour}, &fake{capacity: 1})
	serve(t, s)
	c := dial(t, s)
	for noise := make([]byte, 4<<10); ; {
		if _, err := c.Write(noise); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("was not cut")
		} else if err != nil {
			return
		}
	}
}

// slow is a node that takes its time to say how it is.
type slow struct {
	fake
	once           sync.Once
	asked, release chan struct{}
}

func (s *slow) Status() error {
	s.once.Do(func() { close(s.asked) })
	<-s.release
	return nil
}

// Who is being answered when the agent stops has the answer, and is waited for.
func TestStop(t *testing.T) {
	node := &slow{fake: fake{capacity: 1}, asked: make(chan struct{}), release: make(chan struct{})}
	s := listen(t, agent.Options{}, node)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	c := dial(t, s)
	<-node.asked
	stop()
	for {
		other, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			break // it listens no more
		}
		other.Close()
	}
	select {
	case err := <-done:
		t.Errorf("Serve ended with %v before the answer", err)
	default:
	}
	close(node.release)
	if said, err := io.ReadAll(c); err != nil || string(said) != "ready up 100%\n" {
		t.Errorf("read %q, %v", said, err)
	}
	c.Close()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestMisuse(t *testing.T) {
	f := &fake{}
	if err := agent.New(agent.Options{}, f).Serve(context.Background()); err == nil {
		t.Error("Serve before Listen: no error")
	}
	s := listen(t, agent.Options{}, f)
	serve(t, s)
	if err := agent.New(agent.Options{}, f).Listen(s.Addr().String()); err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("Listen on a taken port: %v", err)
	}
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
		s := agent.New(agent.Options{}, &fake{capacity: 1})
		if err := s.Adopt(adopted); err != nil {
			t.Fatal(err)
		}
		if err := s.Adopt(adopted); err == nil {
			t.Error("adopted two")
		}
		waits := dial(t, s) // before it serves
		stop := serve(t, s)
		if said, err := io.ReadAll(waits); err != nil || string(said) != "ready up 100%\n" {
			t.Errorf("read %q, %v", said, err)
		}
		waits.Close()
		stop()
	}
}

// A change is logged once, however often and by however many HAProxy is asked.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey {
			return slog.Attr{}
		}
		return a
	}}))
	f := &fake{}
	s := listen(t, agent.Options{Logger: logger}, f)
	stop := serve(t, s)
	for _, is := range []struct {
		status error
		now    int64
	}{
		{nil, 0}, {nil, 5}, {nil, 10}, {nil, 9}, // full or not: clients come and go
		{errors.New("cut off"), 9}, {errors.New("cut off, still"), 9},
		{nil, 9},
		{gateway.ErrDraining, 9}, {gateway.ErrStopping, 0},
	} {
		f.become(is.status, is.now, 10)
		for range 3 {
			ask(t, s)
		}
	}
	stop()
	want := `answer=up
answer=down before=up reason="cut off"
answer=up before=down
answer=drain before=up
`
	if out.String() != want {
		t.Errorf("logged\n%s\nwant\n%s", out.String(), want)
	}
}
