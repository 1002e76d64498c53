package gateway

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// While clients are delivered to, newcomers are taken a few at a time, with rests
// between; else, and by a node that leaves its port, all at once.
func TestNewcomersRest(t *testing.T) {
	const newcomers = 5 * acceptMost
	for name, tt := range map[string]struct {
		receiving int64
		leaves    bool
		want      int64 // accepted at first
	}{
		"delivering":             {1, false, acceptMost},
		"quiet":                  {0, false, newcomers},
		"delivering and leaving": {1, true, newcomers},
	} {
		t.Run(name, func(t *testing.T) {
			g := keeper(t, Options{Shards: 1})
			if err := g.Listen("127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			s := g.shards[0]
			defer func() {
				s.end()
				g.closePollers()
				_ = unix.Close(g.lfd)
			}()
			if err := s.accept(); err != nil {
				t.Fatal(err)
			}
			for range newcomers {
				conn, err := net.Dial("tcp", g.addr.String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
			}
			g.crowd.receiving.Store(tt.receiving)
			round := func() {
				if err := s.poll(); err != nil {
					t.Fatal(err)
				}
				s.acceptAgain()
			}
			switch {
			case tt.leaves:
				s.leavePort()
			case tt.receiving > 0:
				round()
				if wait := s.patience(); wait > acceptMillis {
					t.Errorf("rests for %d ms, want %d", wait, acceptMillis)
				}
			default:
				for range newcomers / acceptMost {
					round()
				}
			}
			if got := g.conns.Load(); got != tt.want {
				t.Fatalf("%d accepted at first, want %d", got, tt.want)
			}
			for until := time.Now().Add(time.Minute); g.conns.Load() < newcomers && time.Now().Before(until); {
				round()
			}
			if got := g.conns.Load(); got != newcomers {
				t.Errorf("%d accepted at last, want %d", got, newcomers)
			}
		})
	}
}

// A listener that can't be accepted from rests until the next tick, also in a
// shard that had nothing else to wait for.
func TestRestIsAPause(t *testing.T) {
	st := newStage(t, Options{})
	s := st.s
	s.accepting = true
	if wait := s.patience(); wait != -1 {
		t.Fatalf("waits %d ms, want for ever", wait)
	}
	s.sleeping.Store(true)
	s.poller.Wake()
	st.events(t)
	s.accepting = false
	if wait := s.patience(); wait < 50 {
		t.Errorf("rests for %d ms, want some 100", wait)
	}
}
