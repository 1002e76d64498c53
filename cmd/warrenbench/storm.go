//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storm measures how fast clients are taken in that were lost all at once and
// come again all at once, beside a bare loop that they come to; and how long the
// clients that a node has already wait for their messages meanwhile.
type storm struct {
	live    live
	clients int           // that come
	gusts   int           // how often, a trial
	calm    time.Duration // measured without a storm
	trials  int
	atLeast float64 // times the yardstick's rate; 0: for information
	atMost  float64 // times the calm wait; 0: for information
}

// gale is the outcome of one trial.
type gale struct {
	rate  float64 // clients taken in a second
	wait  wait    // of those already there
	cpu   micros  // a client that is taken in, the server
	crowd micros  // and its own
}

func (g gale) String() string {
	if g.rate == 0 {
		return g.wait.String()
	}
	return fmt.Sprintf("%s clients a second, %v a client, %v its own; clients already there: p50 %s ms, p99 %s ms",
		digits(g.rate), g.cpu, g.crowd, digits(g.wait.p50), digits(g.wait.p99))
}

func (g gale) getRate() float64 { return g.rate }
func (g gale) getP99() float64  { return g.wait.p99 }
func (g gale) getCPU() float64  { return float64(g.cpu) }

func (s storm) run(ctx context.Context, b *bench) (figures []figure, err error) {
	yard, err := startYardstick(b.size, false, b.log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, yard.stop()) }()
	server, stop, err := b.node(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	clients := min(s.clients, fit(s.clients+s.live.clients, b.limit)-s.live.clients)
	if clients < 1 {
		return nil, fmt.Errorf("the limit of %d open files is too low", b.limit)
	}

	there := server.on("/ws/" + liveChannel)
	name := fmt.Sprintf("%s clients come back at once", thousands(clients))
	d := duel[gale]{what: name, trials: s.trials, sides: []side[gale]{
		{"server", func() (gale, error) { return s.blow(ctx, b, there, server, clients) }},
		{"yardstick", func() (gale, error) { return s.blow(ctx, b, there, yard.target, clients) }},
		{"server, calm", func() (gale, error) { return s.quiet(ctx, b, there) }},
	}}
	v, err := d.run(b)
	if err != nil {
		return nil, err
	}
	rate := compare(name+": taken in a second", "/s", each(v[0], gale.getRate), each(v[1], gale.getRate))
	rate.ratioAtLeast(s.atLeast)
	rate.note("all are reset, then all dial again; from the first connect to the last 101 read; %s under way at a time, half a listen backlog, beyond which SYNs are lost", thousands(crowdAtOnce))
	rate.note("those who dial have the lowest priority, as if they were elsewhere")
	rate.note("CPU of those who dial: %s µs a client at the server, %s µs at the yardstick",
		digits(median(each(v[0], func(g gale) float64 { return float64(g.crowd) }))), digits(median(each(v[1], func(g gale) float64 { return float64(g.crowd) }))))
	cpu := compare("CPU a client, lost and taken in", "µs", each(v[0], gale.getCPU), each(v[1], gale.getCPU))
	cpu.note("the server's has its messages to the %d clients already there in it", s.live.clients)
	p99 := compare("p99 of clients already there", "ms", each(v[0], gale.getP99), each(v[2], gale.getP99))
	p99.ratioAtMost(s.atMost)
	p99.note("%v on the same node; yardstick: %v of calm", s.live, s.calm)
	beside := compare("the same beside a storm on a bare loop", "ms", each(v[0], gale.getP99), each(v[1], gale.getP99))
	beside.note("yardstick: the same clients of the node while the crowd comes to the bare loop: what the machine costs them")
	return []figure{rate, cpu, p99, beside}, nil
}

// blow has a crowd come to t, and then vanish and come again, which is measured.
func (s storm) blow(ctx context.Context, b *bench, there, t target, clients int) (g gale, err error) {
	c, err := b.startCrowd(t.on("/ws/storm"), clients)
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	var all crowdResult
	var cpu time.Duration
	g.wait, err = s.live.with(ctx, b, there, func(f *fan, p *publisher) error {
		if _, err := c.do(ctx, tellCome, f.server(ctx)); err != nil {
			return err
		}
		before, err := cpuTime(t.pids)
		if err != nil {
			return err
		}
		if all, err = s.gust(ctx, f, p, c); err != nil {
			return err
		}
		after, err := cpuTime(t.pids)
		if err != nil {
			return err
		}
		cpu = after - before
		_, err = c.do(ctx, tellLeave, f.server(ctx))
		return err
	})
	if err == nil && all.Taken < s.gusts*clients {
		err = fmt.Errorf("%d came %d times: %d were taken in", clients, s.gusts, all.Taken)
	}
	g.rate = float64(all.Taken) / all.Took.Seconds()
	g.cpu, g.crowd = perUnit(cpu, s.gusts*clients), perUnit(all.CPU, s.gusts*clients)
	return g, err
}

// gust has the crowd vanish and come again, as often as is wanted, while messages
// go on, and sums it up.
func (s storm) gust(ctx context.Context, f *fan, p *publisher, c *crowdProcess) (all crowdResult, err error) {
	if err := c.tell(tellVanish); err != nil {
		return all, err
	}
	left := s.gusts
	_, paceErr := f.paced(ctx, p, s.live.rate, func(sent int) bool {
		if r, heard, heardErr := c.heard(); heard && left > 0 {
			left--
			all.Taken, all.Took, all.CPU = all.Taken+r.Taken, all.Took+r.Took, all.CPU+r.CPU
			err = heardErr
			if err == nil && left > 0 {
				err = c.tell(tellVanish)
			}
		}
		return sent == 0 || left > 0 && err == nil
	})
	return all, errors.Join(err, paceErr)
}

func (s storm) quiet(ctx context.Context, b *bench, there target) (g gale, err error) {
	g.wait, err = s.live.with(ctx, b, there, func(f *fan, p *publisher) error {
		_, err := f.paced(ctx, p, s.live.rate, lasting(s.calm))
		return err
	})
	return g, err
}
