//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// relay measures how many messages a second get from the clients of one node to
// those of another, beside a program that publishes them with confirms and
// consumes them, and nothing else.
type relay struct {
	senders, receivers int
	warm, messages     int // before and while the clock runs
	trials             int
	atLeast            float64 // times the yardstick; 0: for information
}

// passage is the outcome of one trial, in messages a second.
type passage struct {
	rate      float64 // received
	confirmed float64 // 0 if unknown
	cpu       micros  // a message; 0 if unknown
}

func (p passage) String() string {
	s := thousands(int(p.rate)) + " msg/s"
	if p.confirmed > 0 {
		s += fmt.Sprintf(", confirmed %s", thousands(int(p.confirmed)))
	}
	if p.cpu > 0 {
		s += fmt.Sprintf(", CPU a message %v", p.cpu)
	}
	return s
}

func (p passage) getRate() float64 { return p.rate }
func (p passage) getCPU() float64  { return float64(p.cpu) }

func (r relay) run(ctx context.Context, b *bench) (figures []figure, err error) {
	r.warm, r.messages = b.affordable(r.warm), b.affordable(r.messages)
	k, err := b.broker(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.stop()) }()
	nodes, stop, err := b.startNodes(ctx, k.streamed(k.addr), k.streamed(k.addr))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	what := "messages a second, node to node"
	d := duel[passage]{what: what, trials: r.trials, sides: []side[passage]{
		{"server", func() (passage, error) { return r.throughNodes(ctx, b, nodes) }},
		{"yardstick", func() (passage, error) { return r.throughRabbit(ctx, b, k) }},
		{"yardstick, with ids", func() (passage, error) { return r.throughRabbit(ctx, b, k, "-named") }},
	}}
	v, err := d.run(b)
	if err != nil {
		return nil, err
	}
	f := compare(what, "/s", each(v[0], passage.getRate), each(v[1], passage.getRate))
	f.ratioAtLeast(r.atLeast)
	f.note("%s messages of %d bytes a trial, from %d clients of one node, as fast as they are taken, to %d of another, through a stream",
		thousands(r.messages), b.size, r.senders, r.receivers)
	f.note("at the end of each trial all of these clients had every message once, and in one order")
	f.note("yardstick: publishes with confirms (%d under way), mandatory and persistent, and consumes (prefetch %d, manual acks) a stream of its own on the same RabbitMQ",
		rabbitWindow, rabbitPrefetch)
	n := compare("the same beside messages with ids", "/s", each(v[0], passage.getRate), each(v[2], passage.getRate))
	n.note("yardstick: also gives each message an id, a time and the program's name, as messages of nodes have them")
	g := compare("CPU a message meanwhile", "µs", each(v[0], passage.getCPU), each(v[1], passage.getCPU))
	g.note("of both nodes, each of which reads the stream; yardstick: of the program, which reads it once")
	return []figure{f, n, g}, nil
}

func (r relay) throughNodes(ctx context.Context, b *bench, nodes []target) (p passage, err error) {
	f, err := newFan(b.size, bySender)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	clients := r.senders + r.receivers
	if err := errors.Join(f.grow(ctx, newDialer(nodes[0]), r.senders), f.grow(ctx, newDialer(nodes[1]), r.receivers)); err != nil {
		return p, err
	}
	s := newSenders(f, r.senders, b.size)
	pids := append(slices.Clone(nodes[0].pids), nodes[1].pids...)
	total := int64(0)
	for _, n := range []int{r.warm, r.messages} {
		total += int64(n)
		f.expect(total)
		before, err := cpuTime(pids)
		if err != nil {
			return p, err
		}
		start := time.Now()
		if err := s.send(n); err != nil {
			return p, err
		}
		if err := f.until(ctx, "the last message at the other node", func() bool { return f.have(r.senders, clients, total) }); err != nil {
			return p, err
		}
		p.rate = float64(n) / time.Since(start).Seconds()
		// They hear what they say, from their own node.
		if err := f.until(ctx, "the last message at its senders", func() bool { return f.behind == 0 }); err != nil {
			return p, err
		}
		after, err := cpuTime(pids)
		if err != nil {
			return p, err
		}
		p.cpu = perUnit(after-before, n)
	}
	return p, errors.Join(f.all(total), f.oneOrder())
}

func (r relay) throughRabbit(ctx context.Context, b *bench, k broker, more ...string) (passage, error) {
	var v rabbitResult
	args := append(more, "-url="+k.through(k.addr), "-exchange="+yardExchange, "-stream="+yardStream, "-declare", "-key=bench",
		fmt.Sprint("-size=", b.size), "-publish", "-consume", fmt.Sprint("-warm=", r.warm), fmt.Sprint("-count=", r.messages))
	err := runSelf(ctx, b.log, nil, &v, rabbitCommand, args...)
	if err != nil {
		return passage{}, err
	}
	n := float64(r.messages)
	return passage{rate: n / v.Consumed.Seconds(), confirmed: n / v.Confirmed.Seconds(), cpu: perUnit(v.CPU, r.messages)}, nil
}

// affordable bounds what a trial puts on RabbitMQ's disk.
func (b *bench) affordable(messages int) int {
	const most = 256 << 20 // bytes, a quarter of what the stream keeps
	return max(min(messages, most/b.size), 1)
}
