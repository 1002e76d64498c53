//go:build linux

package main

import (
	"context"
	"errors"
)

// catchup measures how fast a node reads what it has missed while its link was
// away, until its clients have the last of it, beside a program that consumes
// the same messages from the same offset over the same kind of link.
type catchup struct {
	clients  int
	messages int
	trials   int
	atLeast  float64 // times the yardstick; 0: for information
}

func (c catchup) run(ctx context.Context, b *bench) (figures []figure, err error) {
	c.messages = b.affordable(c.messages)
	s, stop, err := b.newOutages(ctx, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	var o *outage
	what := "messages a second, catching up"
	d := duel[passage]{
		what: what, trials: c.trials,
		setUp: func() (end func() error, err error) {
			o, end, err = b.beginOutage(ctx, s, c.clients, c.messages)
			return end, err
		},
		sides: []side[passage]{
			{"server", func() (passage, error) { return c.byNode(ctx, o) }},
			{"yardstick", func() (passage, error) { return c.byRabbit(ctx, b, s.k, o) }},
		},
	}
	v, err := d.run(b)
	if err != nil {
		return nil, err
	}
	f := compare(what, "/s", each(v[0], passage.getRate), each(v[1], passage.getRate))
	f.ratioAtLeast(c.atLeast)
	f.note("%s messages of %d bytes, published while the node's link is cut; from its first connection afterwards until %d clients have all of them, once and in order",
		thousands(c.messages), b.size, c.clients)
	f.note("yardstick: connects and consumes the same messages from their offset (prefetch %d, manual acks); both by way of a forwarder", rabbitPrefetch)
	return []figure{f}, nil
}

func (c catchup) byNode(ctx context.Context, o *outage) (passage, error) {
	took, err := o.end(ctx)
	return passage{rate: float64(c.messages) / took.Seconds()}, err
}

func (c catchup) byRabbit(ctx context.Context, b *bench, k broker, o *outage) (passage, error) {
	took, err := b.readBacklog(ctx, k, o, o.f.server(ctx))
	return passage{rate: float64(c.messages) / took.Seconds()}, err
}
