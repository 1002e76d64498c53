//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// live is clients of one channel, where one of them sends at a modest rate.
type live struct {
	clients int
	rate    int // messages a second
}

func (l live) String() string { return fmt.Sprintf("%d clients × %d msg/s", l.clients, l.rate) }

// wait is how long deliveries took in one period.
type wait struct {
	p50, p99   float64 // ms
	deliveries int
	note       string // what went on meanwhile
}

func (w wait) String() string {
	return fmt.Sprintf("p50 %s ms, p99 %s ms of %s deliveries; %s", digits(w.p50), digits(w.p99), thousands(w.deliveries), w.note)
}

func (w wait) getP50() float64 { return w.p50 }
func (w wait) getP99() float64 { return w.p99 }

// waits sums up the latencies that f has measured.
func (f *fan) waits() wait {
	return wait{
		p50:        float64(quantile(f.latency, 0.50)) / 1e6,
		p99:        float64(quantile(f.latency, 0.99)) / 1e6,
		deliveries: len(f.latency),
	}
}

// with connects the clients to t and calls do, which fills the latencies of the
// fan; client 0 is its publisher.
func (l live) with(ctx context.Context, b *bench, t target, do func(*fan, *publisher) error) (w wait, err error) {
	f, err := newFan(b.size, fromZero)
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	if err := f.join(ctx, t, l.clients); err != nil {
		return w, err
	}
	p := newPublisher(f, b.size)
	if err := do(f, p); err != nil {
		return w, err
	}
	return f.waits(), f.all(p.seq)
}

// fill sends n messages, no faster than all clients take them and, with acks,
// than they are confirmed.
func (p *publisher) fill(ctx context.Context, n int) error {
	const step = 64 // messages
	for ; n > 0; n -= step {
		var b []byte
		for range min(n, step) {
			b = p.next(b)
		}
		if err := p.f.send(0, b); err != nil {
			return err
		}
		p.f.expect(p.seq)
		if err := p.f.until(ctx, "a message at all clients", func() bool { return p.f.behind == 0 && p.acked() }); err != nil {
			return err
		}
	}
	return nil
}

// lasting is true for d from now on, for one message at least.
func lasting(d time.Duration) func(sent int) bool {
	end := time.Now().Add(d)
	return func(sent int) bool { return sent == 0 || time.Now().Before(end) }
}
