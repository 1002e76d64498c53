//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// idle measures the memory an idle client costs the server's process: the rise
// of its resident size from a few clients to many.
type idle struct {
	few, many int
	settle    time.Duration // how long to wait for a steady size
	trials    int           // each with a new process
	atMost    float64       // bytes a client; 0: for information
}

// footprint is the outcome of one trial, bytes a client.
type footprint struct {
	rss, private, vmRSS float64
	few, many           memory
	settled             bool
}

func (m idle) run(ctx context.Context, b *bench) ([]figure, error) {
	many := fit(m.many, b.limit)
	few := min(m.few, many/2)
	if few == 0 {
		return nil, fmt.Errorf("memory: the limit of %d open files is too low", b.limit)
	}
	trials := m.trials
	if b.trials > 0 {
		trials = b.trials
	}
	if !b.fresh {
		trials = 1 // a second one would find the memory of the first
	}
	var all []footprint
	for i := range trials {
		v, err := m.trial(ctx, b, few, many)
		if err != nil {
			return nil, fmt.Errorf("memory, trial %d: %w", i+1, err)
		}
		fmt.Fprintf(b.log, "memory an idle client %d/%d server %.0f B (%s at %s clients, %s at %s)\n", i+1, trials, v.rss,
			mebibytes(v.few.RSS), thousands(few), mebibytes(v.many.RSS), thousands(many))
		all = append(all, v)
	}
	pick := func(get func(footprint) float64) spread { return spreadOf(each(all, get)) }
	rss := figure{What: "memory an idle client", Unit: "B", Server: pick(func(v footprint) float64 { return v.rss })}
	rss.valueAtMost(m.atMost)
	last := all[len(all)-1]
	rss.note("slope of the resident size (Rss of smaps_rollup) from %s to %s clients; last trial: %s to %s", thousands(few), thousands(many), mebibytes(last.few.RSS), mebibytes(last.many.RSS))
	rss.note("by VmRSS %.0f B, by private pages %.0f B", pick(func(v footprint) float64 { return v.vmRSS }).Median, pick(func(v footprint) float64 { return v.private }).Median)
	if many < m.many {
		rss.note("%d clients were meant: the limit of open files is %d", m.many, b.limit)
	}
	for _, v := range all {
		if !v.settled {
			rss.note("the size had not come to rest after %v in at least one trial", m.settle)
			break
		}
	}
	return []figure{rss}, nil
}

func (m idle) trial(ctx context.Context, b *bench, few, many int) (v footprint, err error) {
	t, stop, err := b.start(ctx)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	f, err := newFan(b.size, unnumbered)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	d := newDialer(t)
	measure := func(clients int) (memory, error) {
		if err := f.grow(ctx, d, clients-len(f.clients)); err != nil {
			return memory{}, err
		}
		// Pings are answered meanwhile.
		got, ok, err := settled(ctx, t.pids, m.settle, func(p time.Duration) error { return f.serve(ctx, p) })
		v.settled = v.settled && ok
		return got, err
	}
	v.settled = true
	if v.few, err = measure(few); err != nil {
		return v, err
	}
	if v.many, err = measure(many); err != nil {
		return v, err
	}
	rise := func(a, b int64) float64 { return slope(float64(few), float64(a), float64(many), float64(b)) }
	v.rss = rise(v.few.RSS, v.many.RSS)
	v.private = rise(v.few.Private, v.many.Private)
	v.vmRSS = rise(v.few.VmRSS, v.many.VmRSS)
	return v, f.all(0)
}
