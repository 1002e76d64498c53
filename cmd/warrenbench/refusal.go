//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// refusal measures what it costs a node with clients.handshake_rate to send away
// those beyond it, beside the same node without, which takes them in.
type refusal struct {
	clients int
	trials  int
	atMost  float64 // times what it costs to take one in; 0: for information
}

func (r refusal) run(ctx context.Context, b *bench) (figures []figure, err error) {
	clients := fit(r.clients, b.limit)
	limited, stop, err := b.node(ctx, "clients: {handshake_rate: 1}\n")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	open, stopOpen, err := b.node(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopOpen()) }()

	d := duel[micros]{what: "CPU a refusal", trials: r.trials, sides: []side[micros]{
		{"server", func() (micros, error) { return r.trial(ctx, b, limited, clients, true) }},
		{"server without a limit", func() (micros, error) { return r.trial(ctx, b, open, clients, false) }},
	}}
	v, err := d.run(b)
	if err != nil {
		return nil, err
	}
	f := compare("CPU a refusal", "µs", floats(v[0]), floats(v[1]))
	f.ratioAtMost(r.atMost)
	f.note("%s clients at once, clients.handshake_rate 1: 503 with Retry-After; yardstick: without, a client that comes and goes", thousands(clients))
	return []figure{f}, nil
}

func (r refusal) trial(ctx context.Context, b *bench, t target, clients int, refuses bool) (cost micros, err error) {
	c, err := b.startCrowd(t, clients)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	before, err := cpuTime(t.pids)
	if err != nil {
		return 0, err
	}
	came, err := c.do(ctx, tellCome, nil)
	if err != nil {
		return 0, err
	}
	if _, err := c.do(ctx, tellLeave, nil); err != nil {
		return 0, err
	}
	after, err := restTime(ctx, t.pids)
	if err != nil {
		return 0, err
	}
	// A second or two may pass, in which one is taken.
	if few := clients / 10; refuses && came.Taken > few || !refuses && came.Refused > 0 {
		return 0, fmt.Errorf("%d were taken and %d refused", came.Taken, came.Refused)
	}
	return perUnit(after-before, clients), nil
}

// restTime is the processes' CPU time once they have come to rest: what they do
// for connections that have ended needs no answer to wait for.
func restTime(ctx context.Context, pids []int) (time.Duration, error) {
	const look, most, idle = 50 * time.Millisecond, 100, 500 * time.Microsecond
	last, err := cpuTime(pids)
	if err != nil {
		return 0, err
	}
	every := time.NewTicker(look)
	defer every.Stop()
	for range most {
		select {
		case <-every.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		now, err := cpuTime(pids)
		if err != nil || now-last < idle {
			return now, err
		}
		last = now
	}
	return last, nil // busy with something else
}
