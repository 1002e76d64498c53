package gateway

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// guests fills a stage with open clients.
func guests(t testing.TB, st *stage, n int) {
	t.Helper()
	want := st.s.clients + n
	for range n {
		st.ask(t, "/ws/room")
	}
	for st.s.clients < want {
		st.events(t)
	}
}

// Clients are closed evenly, however unevenly the shard gets to it, and whoever
// comes and goes by itself meanwhile.
func TestPaceIsEven(t *testing.T) {
	const (
		count  = 400
		period = 4000 // milliseconds
		parts  = 8
	)
	for name, churn := range map[string]int{"nobody else": 0, "some leave": -20, "some come": 20} {
		t.Run(name, func(t *testing.T) {
			st := newStage(t, Options{Drain: DrainOptions{Period: period * 1e6}})
			guests(t, st, count)
			random := rand.New(rand.NewPCG(1, 2))
			s := st.s
			began := s.now
			s.empty(began + period)
			var closed [parts]int
			churned := 0
			for s.now-began < period {
				s.now += 1 + random.Uint32N(25)
				if passed := int(min(s.now-began, period)); churn > 0 && churned < churn*passed/period {
					now := s.now
					guests(t, st, 1) // takes the time of the real clock
					s.now, churned = now, churned+1
				} else if churn < 0 && churned < -churn*passed/period {
					for _, a := range st.clients {
						if a.c.state == open {
							s.drop(a.c, endReset)
							break
						}
					}
					churned++
				}
				before := s.clients
				s.closeSome()
				closed[min(s.now-began, period-1)*parts/period] += before - s.clients
			}
			if s.clients != 0 {
				t.Errorf("%d clients are left at the end", s.clients)
			}
			total := 0
			for _, n := range closed {
				total += n
			}
			for i, n := range closed {
				if share := float64(n) / (float64(total) / parts); share > 1.2 || share < 0.8 {
					t.Errorf("part %d of %d has %.2f of its share: %v", i, parts, share, closed)
				}
			}
			if got, want := total-max(churn, 0), count+min(churn, 0); got < want-1 || got > want+1 {
				t.Errorf("%d were closed, want %d and newcomers", got, want)
			}
		})
	}
}

// A shard that is kept from closing clients for a while doesn't close all of them
// together then.
func TestPaceAfterAPause(t *testing.T) {
	const count, period, pause = 400, 4000, 800
	st := newStage(t, Options{Drain: DrainOptions{Period: period * 1e6}})
	guests(t, st, count)
	s := st.s
	began := s.now
	s.empty(began + period)
	var window []uint32 // when those of the last half second were closed
	for s.now-began < period {
		s.now += paceMillis
		if s.now-began == 1000 {
			s.now += pause
		}
		before := s.clients
		s.closeSome()
		for range before - s.clients {
			window = append(window, s.now)
		}
		for len(window) > 0 && s.now-window[0] >= 500 {
			window = window[1:]
		}
		// What the pause took is spread over the rest: a third more.
		if most := float64(count) * 500 / period * 4 / 3 * 1.05; float64(len(window)) > most {
			t.Fatalf("%d were closed within half a second, want at most %.0f", len(window), most)
		}
	}
	if s.clients != 0 {
		t.Errorf("%d are left", s.clients)
	}
}

// All at once if there is no period, and nobody after an Undrain.
func TestPaceEnds(t *testing.T) {
	st := newStage(t, Options{})
	guests(t, st, 10)
	s := st.s
	s.empty(s.now + 1000)
	for range 50 {
		s.now += 10
		s.closeSome()
	}
	if s.clients != 5 {
		t.Errorf("%d clients are left after half of the time, of 10", s.clients)
	}
	s.pace.on = false
	s.now += 5000
	s.closeSome()
	if s.clients != 5 {
		t.Errorf("%d clients are left after the drain ended, of 5", s.clients)
	}
	s.empty(s.now)
	s.closeSome()
	if s.clients != 0 {
		t.Errorf("%d clients are left of a drain without a period", s.clients)
	}
}

// A handshake that waits for its message is refused by a drain, which sends it
// to another node at once. In a stop it is taken: the port is left.
func TestPaceAndThoseWhoWait(t *testing.T) {
	for name, final := range map[string]bool{"drain": false, "stop": true} {
		t.Run(name, func(t *testing.T) {
			st := newStage(t, Options{History: HistoryOptions{Messages: 10}})
			st.deliver(1)
			a := st.ask(t, "/ws/room?since="+ID{2, 1}.String())
			for len(st.s.waiting) == 0 {
				st.events(t)
			}
			st.g.drain.final.Store(final)
			st.g.drain.phase.Store(int32(Emptying))
			st.s.empty(st.s.now + 5000)
			st.deliver(2)
			st.s.visitWaiting()
			a.take(t)
			want := "HTTP/1.1 503 "
			if final {
				want = "HTTP/1.1 101 "
			}
			if !strings.HasPrefix(string(a.got), want) {
				t.Errorf("answered %.40q, want %s", a.got, want)
			}
		})
	}
}

// Nobody who is taken after an Undrain is closed by the drain before it: each
// shard is told first.
func TestUndrainTellsShardsFirst(t *testing.T) {
	st := newStage(t, Options{})
	for range 1000 {
		st.g.drain.phase.Store(int32(Emptying))
		ended := make(chan error)
		go func() { ended <- st.g.Undrain() }()
		for st.g.drain.is() != Serving {
			runtime.Gosched()
		}
		if !st.s.hasMail() {
			t.Fatal("it takes clients, and its shard has not been told")
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		st.s.readMail()
	}
}

// Who is left at a stop is closed at once, and told to spread itself.
func TestStopClosesAtOnce(t *testing.T) {
	st := newStage(t, Options{Drain: DrainOptions{Period: time.Hour}})
	a := st.ask(t, "/ws/room")
	for st.s.clients == 0 {
		st.events(t)
	}
	st.s.stop(false)
	if a.take(t); !strings.HasSuffix(string(a.got), reasonRestart) {
		t.Errorf("closed with %q, want %s", a.got, reasonRestart)
	}
}

// A stop in the middle of a drain waits only for what is left of the delay.
func TestDelayIsCountedOnce(t *testing.T) {
	g := keeper(t, Options{Drain: DrainOptions{Delay: time.Hour}})
	g.Drain()
	g.drain.began = g.drain.began.Add(-time.Hour)
	g.announce()
	if left := g.delayLeft(); left > 0 {
		t.Errorf("%v of the delay are left", left)
	}
}
