//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// throughput measures how many deliveries a second there are while one client
// sends as fast as it is let.
type throughput struct {
	clients int
	warm    time.Duration
	window  time.Duration
	trials  int
	atLeast float64 // millions of deliveries a second; 0: for information
}

// flow is the outcome of one trial.
type flow struct {
	rate float64 // millions of deliveries a second
	cpu  micros  // a delivery; 0 if unknown
}

func (t throughput) run(ctx context.Context, b *bench) (figures []figure, err error) {
	server, yard, stop, err := b.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return t.between(ctx, b, server, yard, "deliveries a second, %s clients", "one frame a write")
}

// between measures both and names the first figure, given the clients; how says
// what the yardstick does.
func (t throughput) between(ctx context.Context, b *bench, server, yard contender, name, how string) ([]figure, error) {
	clients := fit(t.clients, b.limit)
	what := fmt.Sprintf(name, thousands(clients))
	s, y, err := alternate(b, what, t.trials, server, yard, func(c contender) (v flow, err error) {
		err = b.with(ctx, c, clients, func(f *fan, s source) error {
			v, err = t.trial(ctx, f, s, c.pids)
			return err
		})
		return v, err
	})
	if err != nil {
		return nil, err
	}
	rate := compare(what, "M/s", each(s, flow.getRate), each(y, flow.getRate))
	rate.valueAtLeast(t.atLeast)
	rate.note("one publisher, %d bytes, as fast as it is let; yardstick: %s", b.size, how)
	rate.note("at the end of each trial every client had every message, in order, and none was cut off")
	figures := []figure{rate}
	if len(server.pids) > 0 {
		figures = append(figures, compare("CPU a delivery meanwhile", "µs", each(s, flow.getCPU), each(y, flow.getCPU)))
	}
	return figures, nil
}

func (f flow) String() string   { return fmt.Sprintf("%s M/s at %v", digits(f.rate), f.cpu) }
func (f flow) getRate() float64 { return f.rate }
func (f flow) getCPU() float64  { return float64(f.cpu) }

func each[T any](values []T, get func(T) float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = get(v)
	}
	return out
}

func (t throughput) trial(ctx context.Context, f *fan, s source, pids []int) (flow, error) {
	f.mayEnd = true // so that the error tells how many were cut off
	if err := s.flood(); err != nil {
		return flow{}, err
	}
	if err := f.serve(ctx, t.warm); err != nil {
		return flow{}, err
	}
	var cpu [2]time.Duration
	var at [2]time.Time
	var frames [2]int64
	for i := range 2 {
		if i == 1 {
			if err := f.serve(ctx, t.window); err != nil {
				return flow{}, err
			}
		}
		at[i], frames[i] = time.Now(), f.frames
		if len(pids) > 0 {
			var err error
			if cpu[i], err = cpuTime(pids); err != nil {
				return flow{}, err
			}
		}
	}
	if err := s.halt(); err != nil {
		return flow{}, err
	}
	if err := f.drain(ctx, s); err != nil {
		return flow{}, err
	}
	n := float64(frames[1] - frames[0])
	if n == 0 {
		return flow{}, fmt.Errorf("no delivery within %v", t.window)
	}
	return flow{
		rate: n / 1e6 / at[1].Sub(at[0]).Seconds(),
		cpu:  perUnit(cpu[1]-cpu[0], int(n)),
	}, nil
}

// drain reads on until all clients have all that was sent, and checks it.
func (f *fan) drain(ctx context.Context, s source) error {
	var sent int64
	err := f.until(ctx, "the end of the flood", func() (final bool) {
		sent, final = s.sent()
		return final || f.ended > 0
	})
	if err != nil {
		return err
	}
	f.expect(sent)
	if err := f.until(ctx, "the last message at all clients", func() bool { return f.behind == 0 || f.ended > 0 }); err != nil {
		return err
	}
	return f.all(sent)
}
