//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// replay measures how long live clients wait for their messages while others
// resume from the history of the same node, beside the same clients while
// nobody resumes.
type replay struct {
	live     live
	resumers int // at once, and again as soon as these have all
	messages int // that each of them asks for
	window   time.Duration
	trials   int
	atMost   float64 // times the wait without; 0: for information
}

const (
	liveChannel  = "live"
	otherChannel = "other"
)

func (r replay) run(ctx context.Context, b *bench) (figures []figure, err error) {
	resumers := fit(r.resumers, b.limit)
	// With room for the frames' headers; two channels are within memory.logs.
	kept := 64 << 20
	r.messages = max(min(r.messages, kept/2/b.size), 1)
	settings := fmt.Sprintf("history: {messages: %d, bytes: %d}\n", r.messages, kept)
	t, stop, err := b.node(ctx, settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	elsewhere, stopElsewhere, err := b.node(ctx, settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopElsewhere()) }()
	for _, c := range []struct {
		where, channel string
		json           bool
	}{
		{"the same channel", liveChannel, false},
		{"another channel", otherChannel, false},
		{"the same channel, all in JSON", liveChannel, true},
	} {
		what := "p99 while others resume " + c.where
		t, elsewhere := t.speaking(c.json), elsewhere.speaking(c.json)
		d := duel[wait]{what: what, trials: r.trials, sides: []side[wait]{
			{"server, replaying", func() (wait, error) { return r.beside(ctx, b, t, t, c.channel, resumers) }},
			{"server, calm", func() (wait, error) { return r.calm(ctx, b, t) }},
			{"server, beside one that replays", func() (wait, error) { return r.beside(ctx, b, t, elsewhere, c.channel, resumers) }},
		}}
		v, err := d.run(b)
		if err != nil {
			return figures, err
		}
		f := compare(what, "ms", each(v[0], wait.getP99), each(v[1], wait.getP99))
		f.ratioAtMost(r.atMost)
		f.note("%v; %d others at once ask for %s messages of %d bytes each, and again when they have them, for %v; yardstick: %v without them",
			r.live, resumers, thousands(r.messages), b.size, r.window, r.window)
		f.note("p50 %s ms, without %s ms; last trial: %s", digits(median(each(v[0], wait.getP50))), digits(median(each(v[1], wait.getP50))), v[0][len(v[0])-1].note)
		g := compare("the same beside another server's replay", "ms", each(v[0], wait.getP99), each(v[2], wait.getP99))
		g.note("yardstick: the same clients while the others resume from another process: what they wait for then is the machine's; last trial: %s", v[2][len(v[2])-1].note)
		figures = append(figures, f, g)
	}
	return figures, nil
}

func (r replay) calm(ctx context.Context, b *bench, t target) (wait, error) {
	return r.live.with(ctx, b, t.on("/ws/"+liveChannel), func(f *fan, p *publisher) error {
		if err := p.fill(ctx, r.messages); err != nil {
			return err
		}
		_, err := f.paced(ctx, p, r.live.rate, lasting(r.window))
		return err
	})
}

// beside is calm but for the clients that resume channel at server from.
func (r replay) beside(ctx context.Context, b *bench, t, from target, channel string, resumers int) (w wait, err error) {
	if channel != liveChannel || from.addr != t.addr {
		_, err := live{clients: 1}.with(ctx, b, from.on("/ws/"+channel), func(_ *fan, p *publisher) error { return p.fill(ctx, r.messages) })
		if err != nil {
			return w, err
		}
	}
	var done resumeResult
	w, err = r.live.with(ctx, b, t.on("/ws/"+liveChannel), func(f *fan, p *publisher) error {
		if err := p.fill(ctx, r.messages); err != nil {
			return err
		}
		others, err := startResumers(ctx, b, from.on(fmt.Sprintf("/ws/%s?history=%d", channel, r.messages)), resumers, r.messages, f.server(ctx))
		if err != nil {
			return err
		}
		_, err = f.paced(ctx, p, r.live.rate, lasting(r.window))
		end, endErr := others.end(ctx, f.server(ctx))
		done = end
		return errors.Join(err, endErr)
	})
	w.note = fmt.Sprintf("%s messages a second replayed", thousands(int(float64(done.Messages)/done.Took.Seconds())))
	return w, err
}
