//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// backlogChannel is what an outage holds up.
const backlogChannel = "backlog"

// outage is a node whose link is cut, and what it has missed since.
type outage struct {
	link     *forwarder
	f        *fan // the node's clients
	messages int
	offset   int64 // of the first message
}

// outages is where they happen: RabbitMQ, a node whose link goes by way of a
// forwarder, and perhaps one that stays linked.
type outages struct {
	k    broker
	link *forwarder
	node target
	calm target
}

// newOutages starts that. What had started is stopped again after an error.
func (b *bench) newOutages(ctx context.Context, calm bool) (s *outages, stop func() error, err error) {
	var stops []func() error
	stop = func() (err error) {
		for _, end := range slices.Backward(stops) {
			err = errors.Join(err, end())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	s = &outages{}
	if s.k, err = b.broker(ctx); err != nil {
		return nil, nil, err
	}
	stops = append(stops, s.k.stop)
	if s.link, err = startForwarder(s.k.addr); err != nil {
		return nil, nil, err
	}
	stops = append(stops, s.link.close)
	settings := []string{s.k.streamed(s.link.addr())}
	if calm {
		settings = append(settings, s.k.streamed(s.k.addr))
	}
	nodes, stopNodes, err := b.startNodes(ctx, settings...)
	if err != nil {
		return nil, nil, err
	}
	stops = append(stops, stopNodes)
	s.node, s.calm = nodes[0], nodes[len(nodes)-1]
	return s, stop, nil
}

// beginOutage connects clients to the node, cuts its link, and publishes what
// they will miss.
func (b *bench) beginOutage(ctx context.Context, s *outages, clients, messages int) (o *outage, closeIt func() error, err error) {
	o = &outage{link: s.link, messages: messages}
	// One sender's messages are looked at one by one that way.
	if o.f, err = newFan(b.size, bySender); err != nil {
		return nil, nil, err
	}
	closeIt = func() error { return o.close(ctx) }
	defer func() {
		if err != nil {
			err = errors.Join(err, closeIt())
		}
	}()
	if err := s.node.awaitReady(ctx); err != nil {
		return nil, nil, err
	}
	if err := o.f.grow(ctx, newDialer(s.node.on("/ws/"+backlogChannel)), clients); err != nil {
		return nil, nil, err
	}
	s.link.cut()
	var v rabbitResult
	err = runSelf(ctx, b.log, o.f.server(ctx), &v, rabbitCommand, "-url="+s.k.through(s.k.addr), "-exchange="+nodesExchange, "-stream="+nodesStream,
		"-key="+backlogChannel, fmt.Sprint("-size=", b.size), "-publish", fmt.Sprint("-count=", messages))
	if err != nil {
		return nil, nil, err
	}
	o.offset = v.Offset
	if err := o.f.all(0); err != nil {
		return nil, nil, fmt.Errorf("the link was not away: %w", err)
	}
	return o, closeIt, nil
}

// end lets the link come back, and returns how long it took from the node's
// first connection until all clients had all messages.
func (o *outage) end(ctx context.Context) (time.Duration, error) {
	o.f.expect(int64(o.messages))
	o.link.restore()
	if err := o.f.until(ctx, "the last message of the backlog", func() bool { return o.f.behind == 0 }); err != nil {
		return 0, err
	}
	took := time.Since(o.link.since())
	return took, o.f.all(int64(o.messages))
}

// close also ends the outage, if that has not been done.
func (o *outage) close(ctx context.Context) error {
	o.link.restore()
	return o.f.close(ctx)
}

// readBacklog is what the yardstick takes for what the node has missed.
func (b *bench) readBacklog(ctx context.Context, k broker, o *outage, serve func(time.Duration) error) (took time.Duration, err error) {
	link, err := startForwarder(k.addr)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, link.close()) }()
	var v rabbitResult
	err = runSelf(ctx, b.log, serve, &v, rabbitCommand, "-url="+k.through(link.addr()), "-exchange="+nodesExchange, "-stream="+nodesStream,
		"-key="+backlogChannel, fmt.Sprint("-size=", b.size), "-consume", fmt.Sprint("-from=", o.offset), fmt.Sprint("-count=", o.messages))
	return v.Consumed, err
}
