//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// latency measures how long a message is under way at a moderate rate, and what
// CPU a delivery costs then.
type latency struct {
	clients int
	rate    int // messages a second
	seconds int
	trials  int
}

// delays is the outcome of one trial.
type delays struct {
	p50, p99 float64 // ms from the publisher's write to a client's read
	cpu      micros  // a delivery; 0 if unknown
	rate     float64 // messages a second, as it came out
}

func (d delays) String() string {
	return fmt.Sprintf("p50 %s ms, p99 %s ms, %v a delivery at %s msg/s", digits(d.p50), digits(d.p99), d.cpu, digits(d.rate))
}

func (l latency) run(ctx context.Context, b *bench) (figures []figure, err error) {
	clients := fit(l.clients, b.limit)
	server, yard, stop, err := b.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	load := fmt.Sprintf("%s clients × %d msg/s", thousands(clients), l.rate)
	s, y, err := alternate(b, "latency, "+load, l.trials, server, yard, func(c contender) (v delays, err error) {
		err = b.with(ctx, c, clients, func(f *fan, s source) error {
			v, err = l.trial(ctx, f, s, c.pids)
			return err
		})
		return v, err
	})
	if err != nil {
		return nil, err
	}
	pick := func(what, unit string, get func(delays) float64) figure {
		return compare(what, unit, each(s, get), each(y, get))
	}
	p50 := pick("delivery p50, "+load, "ms", func(d delays) float64 { return d.p50 })
	p50.note("from the publisher's write until a client's bytes are read, the load's own queue included")
	p50.note("the yardstick is one thread: on a machine too busy for it at this rate, its figures are those of a queue")
	p50.note("the server's publisher kept %.4g msg/s", median(each(s, func(d delays) float64 { return d.rate })))
	figures = []figure{p50, pick("delivery p99", "ms", func(d delays) float64 { return d.p99 })}
	if len(server.pids) > 0 {
		figures = append(figures, pick("CPU a delivery meanwhile", "µs", func(d delays) float64 { return float64(d.cpu) }))
	}
	return figures, nil
}

func (l latency) trial(ctx context.Context, f *fan, s source, pids []int) (delays, error) {
	var before, after time.Duration
	var err error
	if len(pids) > 0 {
		if before, err = cpuTime(pids); err != nil {
			return delays{}, err
		}
	}
	messages := l.rate * l.seconds
	f.latency = make([]int64, 0, messages*len(f.clients))
	rate, err := f.paced(ctx, s, l.rate, func(sent int) bool { return sent < messages })
	if err != nil {
		return delays{}, err
	}
	if len(pids) > 0 {
		if after, err = cpuTime(pids); err != nil {
			return delays{}, err
		}
	}
	return delays{
		p50:  float64(quantile(f.latency, 0.50)) / 1e6,
		p99:  float64(quantile(f.latency, 0.99)) / 1e6,
		cpu:  perUnit(after-before, messages*len(f.clients)),
		rate: rate,
	}, f.all(int64(messages))
}

// paced sends messages at a rate a second while more says so, measures how long
// each delivery takes, and returns when all clients have them all, with the rate
// as it came out.
func (f *fan) paced(ctx context.Context, s source, rate int, more func(sent int) bool) (float64, error) {
	before, _ := s.sent()
	f.untimed, f.sent, f.latency = before, []time.Duration{}, f.latency[:0]
	defer func() { f.sent = nil }()
	start := time.Now()
	for more(len(f.sent)) {
		due := start.Add(time.Duration(len(f.sent)) * time.Second / time.Duration(rate))
		if err := f.serve(ctx, time.Until(due)); err != nil {
			return 0, err
		}
		f.sent = append(f.sent, time.Since(f.epoch))
		if err := s.one(); err != nil {
			return 0, err
		}
	}
	took := time.Since(start) + time.Second/time.Duration(rate)
	sent, _ := s.sent()
	f.expect(sent)
	err := f.until(ctx, "the last message at all clients", func() bool { return f.behind == 0 })
	return float64(sent-before) / took.Seconds(), err
}
