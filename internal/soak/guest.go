package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"warren/internal/rig"
)

// visits is what guests have to say.
type visits struct {
	mu    sync.Mutex
	count int     // guarded by mu
	heard int     // guarded by mu; messages
	wrong []error // guarded by mu; left the one order
}

// mostSilence is how long a guest stays away, mostStay how long it stays.
const mostSilence, mostStay = 2 * time.Second, 15 * time.Second

// visit lets a guest come and go until ctx ends. What it hears of the room
// must be a part of the one order.
func (s *soak) visit(ctx context.Context, chance *rand.Rand) {
	for {
		away := time.NewTimer(time.Duration(chance.Int64N(int64(mostSilence))))
		select {
		case <-away.C:
		case <-ctx.Done():
			away.Stop()
			return
		}
		st := s.nodes[chance.IntN(len(s.nodes))]
		path := "/ws/" + room
		if chance.IntN(2) == 0 {
			path += fmt.Sprint("?history=", chance.IntN(1000))
		}
		stays := time.Duration(chance.Int64N(int64(mostStay)))
		stay := st.enter()
		c, err := rig.Join(ctx, st.Node, path, rig.ClientOptions{Order: s.order, Place: rig.Anywhere})
		if err != nil {
			stay.leave()
			continue // the node isn't there, or not ready
		}
		s.look(ctx, c, path, stay, stays)
	}
}

// look is one visit.
func (s *soak) look(ctx context.Context, c *rig.Client, path string, stay stay, length time.Duration) {
	began := time.Now()
	over := time.NewTimer(length)
	defer over.Stop()
	cut := false
	select {
	case <-c.Done():
		cut = c.Err() != nil
	case <-over.C:
	case <-ctx.Done():
	}
	err := c.Err()
	c.Close()
	if excused := stay.leave(); cut && !excused {
		s.fail(fmt.Errorf("%s was cut off for no reason: %w", c.Who, err))
	}
	v := &s.visits
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count++
	v.heard += c.Total()
	if err := c.OutOfOrder(); err != nil {
		v.wrong = append(v.wrong, fmt.Errorf("%w (%s, after %v)", err, path, time.Since(began).Round(time.Millisecond)))
		s.logf("%v", v.wrong[len(v.wrong)-1])
	}
}
