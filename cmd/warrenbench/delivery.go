//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// delivery measures the CPU a delivery costs with one message at a time: the
// next leaves when all clients have the one before.
type delivery struct {
	clients int
	warm    int           // messages before the clock starts
	rounds  int           // messages measured
	every   time.Duration // at least this between two messages
	trials  int
	atMost  float64 // times the yardstick; 0: for information
}

func (d delivery) run(ctx context.Context, b *bench) (figures []figure, err error) {
	server, yard, stop, err := b.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return d.between(ctx, b, server, yard, "CPU a delivery, %s clients")
}

// between measures both and names the figure, given the clients.
func (d delivery) between(ctx context.Context, b *bench, server, yard contender, name string) ([]figure, error) {
	clients := fit(d.clients, b.limit)
	what := fmt.Sprintf(name, thousands(clients))
	s, y, err := alternate(b, what, d.trials, server, yard, func(c contender) (v micros, err error) {
		err = b.with(ctx, c, clients, func(f *fan, s source) error {
			v, err = d.trial(ctx, f, s, c.pids)
			return err
		})
		return v, err
	})
	if err != nil {
		return nil, err
	}
	f := compare(what, "µs", floats(s), floats(y))
	f.ratioAtMost(d.atMost)
	pace := "the next when all clients have the last"
	if d.every > 0 {
		pace += fmt.Sprintf(", at most one every %v", d.every)
	}
	f.note("%d messages of %d bytes a trial, %s", d.rounds, b.size, pace)
	if clients < d.clients {
		f.note("%d clients were meant: the limit of open files is %d", d.clients, b.limit)
	}
	return []figure{f}, nil
}

// trial returns the cost of a delivery.
func (d delivery) trial(ctx context.Context, f *fan, s source, pids []int) (micros, error) {
	var before time.Duration
	for i := range d.warm + d.rounds {
		if i == d.warm {
			var err error
			if before, err = cpuTime(pids); err != nil {
				return 0, err
			}
		}
		next := time.Now().Add(d.every)
		f.expect(int64(i) + 1)
		if err := s.one(); err != nil {
			return 0, err
		}
		if err := f.until(ctx, "a message at all clients", func() bool { return f.behind == 0 }); err != nil {
			return 0, err
		}
		if err := f.serve(ctx, time.Until(next)); err != nil {
			return 0, err
		}
	}
	after, err := cpuTime(pids)
	if err != nil {
		return 0, err
	}
	deliveries := d.rounds * len(f.clients)
	return perUnit(after-before, deliveries), f.all(int64(d.warm + d.rounds))
}
