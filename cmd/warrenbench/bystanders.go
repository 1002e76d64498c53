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

func (y bystanders) run(ctx context.Context, b *bench) (figures []figure, err error) {
	y.backlog = b.affordable(y.backlog)
	s, stop, err := b.newOutages(ctx, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	t := s.calm.on("/ws/" + liveChannel)
	var o *outage
	what := "p99 while another node catches up"
	d := duel[wait]{
		what: what, trials: y.trials,
		setUp: func() (end func() error, err error) {
			o, end, err = b.beginOutage(ctx, s, 1, y.backlog)
			return end, err
		},
		sides: []side[wait]{
			{"server, beside a node that catches up", func() (wait, error) { return y.beside(ctx, b, t, o.end) }},
			{"server, calm", func() (wait, error) { return y.calm(ctx, b, t, o) }},
			{"server, beside a bare program that catches up", func() (wait, error) {
				return y.beside(ctx, b, t, func(ctx context.Context) (time.Duration, error) { return b.readBacklog(ctx, s.k, o, o.f.server(ctx)) })
			}},
		},
	}
	v, err := d.run(b)
	if err != nil {
		return nil, err
	}
	f := compare(what, "ms", each(v[0], wait.getP99), each(v[1], wait.getP99))
	f.ratioAtMost(y.atMost)
	f.note("%v on one node, through a stream; another node, whose link was cut, reads the %s messages of %d bytes that it missed; yardstick: %v without that",
		y.live, thousands(y.backlog), b.size, y.window)
	f.note("p50 %s ms, without %s ms; last trial: %s", digits(median(each(v[0], wait.getP50))), digits(median(each(v[1], wait.getP50))), v[0][len(v[0])-1].note)
	g := compare("the same beside a bare program's catching up", "ms", each(v[0], wait.getP99), each(v[2], wait.getP99))
	g.note("yardstick: the node's clients while an AMQP program reads that backlog and the other node stays cut off")
	return []figure{f, g}, nil
}

// calm also serves the clients that are cut off, of which there is no more than
// a ping to hear.
func (y bystanders) calm(ctx context.Context, b *bench, t target, o *outage) (wait, error) {
	return y.live.with(ctx, b, t, func(f *fan, p *publisher) error {
		_, err := f.paced(ctx, p, y.live.rate, lasting(y.window))
		return errors.Join(err, o.f.turn(ctx, 0))
	})
}

// beside measures while catchUp runs, which says how long it took.
func (y bystanders) beside(ctx context.Context, b *bench, t target, catchUp func(context.Context) (time.Duration, error)) (wait, error) {
	var took time.Duration
	w, err := y.live.with(ctx, b, t, func(f *fan, p *publisher) error {
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
		_, err := f.paced(ctx, p, y.live.rate, func(sent int) bool { return sent == 0 || len(caughtUp) == 0 })
		if err != nil {
			cancel()
		}
		<-done
		return errors.Join(err, <-caughtUp)
	})
	w.note = fmt.Sprintf("caught up in %v", took.Round(time.Millisecond))
	return w, err
}
