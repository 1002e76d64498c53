//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// serviceRestart is the close code 1012, which the library has no name for.
const serviceRestart = 1012

// departure measures how evenly a node that gets SIGTERM closes its clients over
// its drain period, while messages go on. A client that is cut off without a
// close frame, or a node that ends badly, is an error.
type departure struct {
	clients       int
	rate          int // messages a second to all of them
	delay, period time.Duration
	trials        int
	atMost        float64 // times an even share, the fullest second; 0: for information
}

// exodus is the outcome of one trial.
type exodus struct {
	fullest float64       // share of the clients, in the fullest of all seconds
	spread  time.Duration // from the first close frame to the last
	first   time.Duration // from the signal to the first
	ended   time.Duration // from the last to the node's end
	wait    wait
}

func (e exodus) String() string {
	return fmt.Sprintf("%.2f %% in the fullest second, %v from first to last, the first after %v, the node ended %v after the last; %v",
		100*e.fullest, e.spread.Round(time.Millisecond), e.first.Round(time.Millisecond), e.ended.Round(time.Millisecond), e.wait)
}

// second is a second, or what stands for it in a short period.
func (d departure) second() time.Duration { return min(time.Second, d.period/4) }

func (d departure) run(ctx context.Context, b *bench) ([]figure, error) {
	clients := fit(d.clients, b.limit)
	what := fmt.Sprintf("drain of %s clients", thousands(clients))
	v, err := duel[exodus]{what: what, trials: d.trials, sides: []side[exodus]{
		{"server", func() (exodus, error) { return d.trial(ctx, b, clients) }},
	}}.run(b)
	if err != nil {
		return nil, err
	}
	same := func(x float64) []float64 { return slices.Repeat([]float64{x}, len(v[0])) }
	full := compare(what+": closed in the fullest second", "%", each(v[0], func(e exodus) float64 { return 100 * e.fullest }),
		same(100*d.second().Seconds()/d.period.Seconds()))
	full.ratioAtMost(d.atMost)
	full.note("SIGTERM with drain: {delay: %v, period: %v}; of all stretches of %v, wherever they begin; yardstick: an even share", d.delay, d.period, d.second())
	full.note("every client got a close frame with 1012, and the node ended with status 0")
	last := v[0][len(v[0])-1]
	full.note("last trial: the first close frame after %v, the node's end %v after the last one", last.first.Round(time.Millisecond), last.ended.Round(time.Millisecond))
	long := compare("from the first close to the last", "s", each(v[0], func(e exodus) float64 { return e.spread.Seconds() }), same(d.period.Seconds()))
	long.note("yardstick: the period")
	long.note("%d message(s) a second of %d bytes to whoever is still there: p50 %s ms, p99 %s ms", d.rate, b.size,
		digits(median(each(v[0], func(e exodus) float64 { return e.wait.p50 }))), digits(median(each(v[0], func(e exodus) float64 { return e.wait.p99 }))))
	return []figure{full, long}, nil
}

func (d departure) trial(ctx context.Context, b *bench, clients int) (v exodus, err error) {
	t, stop, err := b.node(ctx, fmt.Sprintf("drain: {delay: %v, period: %v}\n", d.delay, d.period))
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	f, err := newFan(b.size, fromZero)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	if err := f.join(ctx, t, clients); err != nil {
		return v, err
	}
	var ends []time.Duration // since the fan's epoch
	f.mayEnd = true
	f.onEnd = func(_ int, why error) error {
		var closed errClosed
		if !errors.As(why, &closed) || closed.code != serviceRestart {
			return fmt.Errorf("a client of a node that drains: %w", why)
		}
		ends = append(ends, time.Since(f.epoch))
		return nil
	}
	told := time.Since(f.epoch)
	if err := d.leave(ctx, t, f, newPublisher(f, b.size)); err != nil {
		return v, err
	}
	last := ends[len(ends)-1]
	v.first, v.spread = ends[0]-told, last-ends[0]
	v.fullest = float64(densest(ends, d.second())) / float64(clients)
	v.wait = f.waits()
	select {
	case <-t.process.done:
		v.ended = time.Since(f.epoch) - last
	case <-time.After(stepDeadline):
		return v, fmt.Errorf("the node has not ended %v after its last client", stepDeadline)
	}
	if t.process.err != nil {
		return v, fmt.Errorf("the node ended with %w", t.process.err)
	}
	return v, nil
}

// leave signals the node and returns when all clients have ended.
func (d departure) leave(ctx context.Context, t target, f *fan, p *publisher) error {
	f.sent, f.latency = []time.Duration{}, nil
	told := time.Now()
	if err := t.process.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("signal the node: %w", err)
	}
	limit := d.delay + d.period + stepDeadline
	sender := 0
	for next := told; f.ended < len(f.clients); {
		for f.clients[sender].fd < 0 {
			sender++
		}
		if !time.Now().Before(next) {
			next = next.Add(time.Second / time.Duration(d.rate))
			f.sent = append(f.sent, time.Since(f.epoch))
			if err := f.send(sender, p.next(nil)); err != nil {
				return err
			}
		}
		if err := f.turn(ctx, min(max(time.Until(next), 0), 100*time.Millisecond)); err != nil {
			return err
		}
		if time.Since(told) > limit {
			return fmt.Errorf("%d of %d clients are still there after %v", len(f.clients)-f.ended, len(f.clients), limit)
		}
	}
	return nil
}

// densest is how many of times, which are in order, lie within one stretch.
func densest(times []time.Duration, stretch time.Duration) (most int) {
	from := 0
	for i, t := range times {
		for t-times[from] >= stretch {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
