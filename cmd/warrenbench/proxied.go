//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// proxied measures what HAProxy costs between clients and a node, in several
// forms, each beside the plain one. Every client checks that it has every message,
// once and in order.
type proxied struct {
	fronts      []front
	loads       []load
	window      time.Duration // of each load
	connections int           // that come and go, a trial
	trials      int
	note        string
}

// load is traffic that leaves HAProxy time to spare.
type load struct {
	live
	size int // bytes of a message; 0: the run's
}

// proxyLoads are many clients, messages in quick succession, large messages.
var proxyLoads = []load{{live{1000, 30}, 0}, {live{200, 150}, 0}, {live{50, 50}, 32 << 10}}

func (l load) bytes(b *bench) int {
	if l.size > 0 {
		return l.size
	}
	return b.size
}

// toll is the outcome of one trial, in µs of HAProxy's CPU.
type toll struct {
	connection micros
	deliveries []micros // by load
	node       []micros // the node's CPU a delivery meanwhile
	p99        []float64
}

func (t toll) String() string {
	s := fmt.Sprintf("%v a connection", t.connection)
	for i, d := range t.deliveries {
		s += fmt.Sprintf("; %v a delivery (node %v, p99 %s ms)", d, t.node[i], digits(t.p99[i]))
	}
	return s
}

func (p proxied) run(ctx context.Context, b *bench) (figures []figure, err error) {
	dir, err := os.MkdirTemp("", "warrenbench-haproxy-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	nodes, stop, err := b.startBehind(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	d := duel[toll]{what: "HAProxy", trials: p.trials}
	for _, f := range append([]front{plainForm}, p.fronts...) {
		t, node, stopFront, startErr := f.start(ctx, b, dir, nodes)
		if startErr != nil {
			return nil, startErr
		}
		defer func() { err = errors.Join(err, stopFront()) }()
		d.sides = append(d.sides, side[toll]{f.String(), func() (toll, error) { return p.trial(ctx, b, t, node) }})
	}
	v, err := d.run(b)
	if err != nil {
		return nil, err
	}
	return p.figures(b, v), nil
}

func (p proxied) figures(b *bench, v [][]toll) (figures []figure) {
	plain := v[0]
	pick := func(get func(toll) micros) func(toll) float64 {
		return func(t toll) float64 { return float64(get(t)) }
	}
	for i, l := range p.loads {
		get := pick(func(t toll) micros { return t.deliveries[i] })
		name := fmt.Sprintf("a delivery of %d B, %v", l.bytes(b), l)
		f := compare("HAProxy, "+name, "µs", each(plain, get), each(plain, pick(func(t toll) micros { return t.node[i] })))
		f.note("CPU of HAProxy in its plain form; yardstick: of the node behind it")
		f.note("p99 %s ms; every client had every message, once and in order, in every form", digits(median(each(plain, func(t toll) float64 { return t.p99[i] }))))
		if i == 0 && p.note != "" {
			f.note("%s", p.note)
		}
		figures = append(figures, f)
		for k, m := range p.fronts {
			figures = append(figures, compare(m.String()+": the same", "µs", each(v[k+1], get), each(plain, get)))
		}
	}
	get := pick(func(t toll) micros { return t.connection })
	for k, m := range p.fronts {
		figures = append(figures, compare(m.String()+": a connection", "µs", each(v[k+1], get), each(plain, get)))
	}
	return figures
}

func (p proxied) trial(ctx context.Context, b *bench, t, node target) (v toll, err error) {
	before, err := cpuTime(t.pids)
	if err != nil {
		return v, err
	}
	if err := newDialer(t).dialAndClose(ctx, p.connections); err != nil {
		return v, err
	}
	after, err := cpuTime(t.pids)
	if err != nil {
		return v, err
	}
	v.connection = perUnit(after-before, p.connections)
	for _, l := range p.loads {
		w, cpu, err := p.deliver(ctx, b, l, t, node)
		if err != nil {
			return v, err
		}
		v.deliveries = append(v.deliveries, perUnit(cpu[0], w.deliveries))
		v.node = append(v.node, perUnit(cpu[1], w.deliveries))
		v.p99 = append(v.p99, w.p99)
	}
	return v, nil
}

// deliver returns what HAProxy and the node needed for one load.
func (p proxied) deliver(ctx context.Context, b *bench, l load, t, node target) (w wait, cpu [2]time.Duration, err error) {
	of := *b
	of.size = l.bytes(b)
	w, err = l.with(ctx, &of, t, func(f *fan, s *publisher) error {
		pids := [2][]int{t.pids, node.pids}
		var before [2]time.Duration
		for i := range pids {
			if before[i], err = cpuTime(pids[i]); err != nil {
				return err
			}
		}
		if err := f.apart(ctx, s, time.Second/time.Duration(l.rate), int(p.window.Seconds()*float64(l.rate))); err != nil {
			return err
		}
		for i := range pids {
			after, err := cpuTime(pids[i])
			if err != nil {
				return err
			}
			cpu[i] = after - before[i]
		}
		return nil
	})
	return w, cpu, err
}

// apart sends n messages, each when all clients have the one before and no sooner
// than every after that, and measures how long each delivery takes. On a machine
// that is too busy it takes longer, and still no two messages go in one write:
// that would make each cheaper.
func (f *fan) apart(ctx context.Context, p *publisher, every time.Duration, n int) error {
	f.untimed, f.sent, f.latency = p.seq, []time.Duration{}, f.latency[:0]
	defer func() { f.sent = nil }()
	for range n {
		next := time.Now().Add(every)
		f.expect(p.seq + 1)
		f.sent = append(f.sent, time.Since(f.epoch))
		if err := p.one(); err != nil {
			return err
		}
		if err := f.until(ctx, "a message at all clients", func() bool { return f.behind == 0 }); err != nil {
			return err
		}
		if err := f.serve(ctx, time.Until(next)); err != nil {
			return err
		}
	}
	return nil
}
