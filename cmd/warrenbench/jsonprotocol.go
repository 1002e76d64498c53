//go:build linux

package main

import (
	"context"
	"errors"
	"time"
)

// jsonProtocol measures what the JSON protocol costs beside raw frames of the
// same server.
type jsonProtocol struct {
	delivery   delivery
	publish    publish
	throughput throughput
}

const (
	jsonChannel = "json"
	rawChannel  = "raw"
)

func (j jsonProtocol) run(ctx context.Context, b *bench) (figures []figure, err error) {
	t, stop, err := b.node(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	source := func(f *fan) source { return newPublisher(f, b.size) }
	inJSON := contender{target: t.on("/ws/" + jsonChannel).speaking(true), order: fromZero, source: source}
	raw := contender{target: t.on("/ws/" + rawChannel), order: fromZero, source: source}
	inJSON.name, raw.name = "server, JSON", "server, raw"

	figures, err = j.delivery.between(ctx, b, inJSON, raw, "CPU a delivery in JSON, %s clients")
	if err != nil {
		return figures, err
	}
	figures[0].note("of %d-byte text, as a message of warren.v1.json; yardstick: as a raw frame; a raw client publishes to both", b.size)
	more, err := j.publish.between(ctx, b, inJSON, raw)
	figures = append(figures, more...)
	if err != nil {
		return figures, err
	}
	more, err = j.throughput.between(ctx, b, inJSON, raw, "deliveries a second in JSON, %s clients", "raw frames")
	return append(figures, more...), err
}

// publish measures the CPU a message costs from its publisher to its ack.
type publish struct {
	warm     int // messages before the clock starts
	messages int
	trials   int
}

func (p publish) between(ctx context.Context, b *bench, inJSON, raw contender) ([]figure, error) {
	what := "CPU a message published in JSON, with its ack"
	s, y, err := alternate(b, what, p.trials, inJSON, raw, func(c contender) (micros, error) { return p.trial(ctx, b, c) })
	if err != nil {
		return nil, err
	}
	f := compare(what, "µs", floats(s), floats(y))
	f.note("%s messages of %d bytes by one client, which hears them too, 64 at a time; yardstick: the same by a raw client, which gets no acks", thousands(p.messages), b.size)
	return []figure{f}, nil
}

func (p publish) trial(ctx context.Context, b *bench, c contender) (v micros, err error) {
	f, err := newFan(b.size, c.order)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	if err := f.grow(ctx, newDialer(c.target), 1); err != nil {
		return 0, err
	}
	from := newPublisher(f, b.size)
	if c.json {
		from.channel = jsonChannel
	}
	var cpu [2]time.Duration
	for i, n := range []int{p.warm, p.messages} {
		if err := from.fill(ctx, n); err != nil {
			return 0, err
		}
		if cpu[i], err = cpuTime(c.pids); err != nil {
			return 0, err
		}
	}
	return perUnit(cpu[1]-cpu[0], p.messages), f.all(from.seq)
}
