//go:build linux

package main

import (
	"context"
	"errors"
)

// handshakes measures the CPU of a connection that comes and goes: accept, head,
// 101, the client's FIN, close.
type handshakes struct {
	connections int // a trial
	trials      int
	atMost      float64 // times the yardstick; 0: for information
}

func (h handshakes) run(ctx context.Context, b *bench) (figures []figure, err error) {
	server, yard, stop, err := b.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	// Memory that grows with the first connections is no part of the cost.
	for _, c := range []contender{server, yard} {
		if err := newDialer(c.target).dialAndClose(ctx, h.connections/5+1); err != nil {
			return nil, err
		}
	}
	s, y, err := alternate(b, "CPU a handshake", h.trials, server, yard, func(c contender) (micros, error) {
		before, err := cpuTime(c.pids)
		if err != nil {
			return 0, err
		}
		if err := newDialer(c.target).dialAndClose(ctx, h.connections); err != nil {
			return 0, err
		}
		after, err := cpuTime(c.pids)
		return perUnit(after-before, h.connections), err
	})
	if err != nil {
		return nil, err
	}
	f := compare("CPU a handshake", "µs", floats(s), floats(y))
	f.ratioAtMost(h.atMost)
	f.note("%s connections a trial, %d at a time; both with the close: the client's FIN, then the server's", thousands(h.connections), inFlight)
	return []figure{f}, nil
}
