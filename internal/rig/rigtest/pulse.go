package rigtest

import (
	"sync"
	"testing"
	"time"
)

// Pulse is how fast a machine answers a question that costs next to nothing,
// asked again and again: on machines that run tests, now and then slowly.
type Pulse struct {
	over chan struct{}
	done chan struct{}

	mu      sync.Mutex
	slowest time.Duration // guarded by mu
}

// NewPulse asks until the end of the test. ask returns with the answer, or when it
// gives up.
func NewPulse(t testing.TB, ask func()) *Pulse {
	p := &Pulse{over: make(chan struct{}), done: make(chan struct{})}
	go p.take(ask)
	t.Cleanup(func() {
		close(p.over)
		<-p.done
	})
	return p
}

func (p *Pulse) take(ask func()) {
	defer close(p.done)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		began := time.Now()
		ask()
		p.note(time.Since(began))
		select {
		case <-tick.C:
		case <-p.over:
			return
		}
	}
}

func (p *Pulse) note(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slowest = max(p.slowest, took)
}

// Slowest is the longest that an answer took so far.
func (p *Pulse) Slowest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slowest
}
