//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// bystanders measures how long live clients of one node wait for their messages
// while another node catches up after an outage; beside the same clients while
// all is calm, and while a bare program reads the same backlog: what that costs
// them is RabbitMQ's and the machine's.
type bystanders struct {
	live    live
	backlog int // messages
	window  time.Duration
	trials  int
	atMost  float64 // times the wait without; 0: for information
}

func (s bystanders) run(ctx context.Context, b *bench) (figures []figure, err error) {
	s.backlog = b.affordable(s.backlog)
	k, err := b.broker(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.stop()) }()
	link, err := startForwarder(k.addr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, link.close()) }()
	nodes, stop, err := b.startNodes(ctx, k.streamed(k.addr), k.streamed(link.addr()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	t := nodes[0].on("/ws/" + liveChannel)
	var o *outage
	what := "p99 while another node catches up"
	d := duel[wait]{
		what: what, trials: s.trials,
		setUp: func() (func() error, error) {
			var err error
			o, err = b.beginOutage(ctx, k, link, nodes[1], 1, s.backlog)
			return func() error { return o.close(ctx) }, err
		},
		sides: []side[wait]{
			{"server, beside a node that catches up", func() (wait, error) { return s.beside(ctx, b, t, o.end) }},
			{"server, calm", func() (wait, error) { return s.calm(ctx, b, t, o) }},
			{"server, beside a bare program that catches up", func() (wait, error) {
				return s.beside(ctx, b, t, func(ctx context.Context) (time.Duration, error) { return b.readBacklog(ctx, k, o, o.f.server(ctx)) })
			}},
		},
	}
	v, err := d.run(b)
	if err != nil {
		return nil, err
	}
	f := compare(what, "ms", each(v[0], wait.getP99), each(v[1], wait.getP99))
	f.ratioAtMost(s.atMost)
	f.note("%v on one node, through a stream; another node, whose link was cut, reads the %s messages of %d bytes that it missed; yardstick: %v without that",
		s.live, thousands(s.backlog), b.size, s.window)
	f.note("p50 %s ms, without %s ms; last trial: %s", digits(median(each(v[0], wait.getP50))), digits(median(each(v[1], wait.getP50))), v[0][len(v[0])-1].note)
	g := compare("the same beside a bare program's catching up", "ms", each(v[0], wait.getP99), each(v[2], wait.getP99))
	g.note("yardstick: the node's clients while an AMQP program reads that backlog and the other node stays cut off")
	return []figure{f, g}, nil
}

// calm also serves the clients that are cut off, of which there is no more than
// a ping to hear.
func (s bystanders) calm(ctx context.Context, b *bench, t target, o *outage) (wait, error) {
	return s.live.with(ctx, b, t, func(f *fan, p *publisher) error {
		_, err := f.paced(ctx, p, s.live.rate, lasting(s.window))
		return errors.Join(err, o.f.turn(ctx, 0))
	})
}

// beside measures while catchUp runs, which says how long it took.
func (s bystanders) beside(ctx context.Context, b *bench, t target, catchUp func(context.Context) (time.Duration, error)) (wait, error) {
	var took time.Duration
	w, err := s.live.with(ctx, b, t, func(f *fan, p *publisher) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		caughtUp := make(chan error, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			var err error
			took, err = catchUp(ctx)
			caughtUp <- err
		}()
		_, err := f.paced(ctx, p, s.live.rate, func(sent int) bool { return sent == 0 || len(caughtUp) == 0 })
		if err != nil {
			cancel()
		}
		<-done
		return errors.Join(err, <-caughtUp)
	})
	w.note = fmt.Sprintf("caught up in %v", took.Round(time.Millisecond))
	return w, err
}
