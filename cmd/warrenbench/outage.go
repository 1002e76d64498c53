//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
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

// beginOutage connects clients to the node, cuts its link, and publishes what
// they will miss. The caller closes it.
func (b *bench) beginOutage(ctx context.Context, k broker, link *forwarder, node target, clients, messages int) (_ *outage, err error) {
	o := &outage{link: link, messages: messages}
	// One sender's messages are looked at one by one that way.
	if o.f, err = newFan(b.size, bySender); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close(ctx))
		}
	}()
	if err := node.awaitReady(ctx); err != nil {
		return nil, err
	}
	if err := o.f.grow(ctx, newDialer(node.on("/ws/"+backlogChannel)), clients); err != nil {
		return nil, err
	}
	link.cut()
	var v rabbitResult
	err = runSelf(ctx, b.log, o.f.server(ctx), &v, rabbitCommand, "-url="+k.through(k.addr), "-exchange="+nodesExchange, "-stream="+nodesStream,
		"-key="+backlogChannel, fmt.Sprint("-size=", b.size), "-publish", fmt.Sprint("-count=", messages))
	if err != nil {
		return nil, err
	}
	o.offset = v.Offset
	if err := o.f.all(0); err != nil {
		return nil, fmt.Errorf("the link was not away: %w", err)
	}
	return o, nil
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
