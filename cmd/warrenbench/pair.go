//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// bench is what all benchmarks run with.
type bench struct {
	size   int       // bytes of payload
	trials int       // 0: each benchmark's own
	limit  int       // descriptors of this process
	log    io.Writer // progress, and what the children print

	// start begins a server; fresh says that it is a new process each
	// time. The caller stops it.
	start func(ctx context.Context) (t target, stop func() error, err error)
	fresh bool

	// node begins a server with settings of its own, and broker a RabbitMQ:
	// for benchmarks that need more than a server that runs already. The
	// caller stops both.
	node   func(ctx context.Context, settings string) (t target, stop func() error, err error)
	broker func(ctx context.Context) (broker, error)
}

// contender is a target and where its messages come from.
type contender struct {
	target
	order  order
	source func(f *fan) source
}

// pair starts the server and its yardstick. The caller stops both at once.
func (b *bench) pair(ctx context.Context) (server, yard contender, stop func() error, err error) {
	y, err := startYardstick(b.size, false, b.log)
	if err != nil {
		return server, yard, nil, err
	}
	t, stopServer, err := b.start(ctx)
	if err != nil {
		return server, yard, nil, errors.Join(err, y.stop())
	}
	server = contender{target: t, order: fromZero, source: func(f *fan) source { return newPublisher(f, b.size) }}
	yard = contender{target: y.target, source: func(*fan) source { return &rounds{y: y} }}
	return server, yard, func() error { return errors.Join(stopServer(), y.stop()) }, nil
}

// alternate is a duel of the same trial on both.
func alternate[T fmt.Stringer](b *bench, what string, trials int, server, yard contender, trial func(contender) (T, error)) (ofServer, ofYard []T, err error) {
	on := func(c contender) side[T] { return side[T]{c.name, func() (T, error) { return trial(c) }} }
	v, err := duel[T]{what: what, trials: trials, sides: []side[T]{on(server), on(yard)}}.run(b)
	if err != nil {
		return nil, nil, err
	}
	return v[0], v[1], nil
}

// micros is a cost in µs of CPU.
type micros float64

func (m micros) String() string { return digits(float64(m)) + " µs" }

// perUnit is the cost of one of n.
func perUnit(cpu time.Duration, n int) micros {
	return micros(float64(cpu.Nanoseconds()) / 1e3 / float64(n))
}

// with connects n clients, runs do, and ends the clients.
func (b *bench) with(ctx context.Context, c contender, n int, do func(f *fan, s source) error) (err error) {
	f, err := newFan(b.size, c.order)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	if err := f.join(ctx, c.target, n); err != nil {
		return err
	}
	return do(f, c.source(f))
}
