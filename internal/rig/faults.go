package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Faults does harm to links, chosen at random by a seed.
type Faults struct {
	Done map[string]int // how often what was done

	// Static once it runs.
	Only    []string      // kinds to choose from; nil: all
	Longest time.Duration // at which a kind's own time ends, if that is longer; 0: never

	links []*Link
	rand  *rand.Rand
	logf  func(format string, args ...any)
}

// NewFaults tells logf what it does, the seed first.
func NewFaults(links []*Link, seed uint64, logf func(format string, args ...any)) *Faults {
	logf("faults by seed %d", seed)
	return &Faults{Done: map[string]int{}, links: links, rand: rand.New(rand.NewPCG(seed, 0)), logf: logf}
}

// fault is one kind of harm, for a time.
type fault struct {
	name  string
	weigh int           // of all weights, its probability
	least time.Duration // how long it is kept up
	most  time.Duration
	begin func(f *Faults, l *Link) error
}

// Some of them outlast the nodes' heartbeats and their confirm timeout, most
// don't.
var kinds = []fault{
	{"cut", 3, 0, 3 * time.Second, func(_ *Faults, l *Link) error { return l.Cut() }},
	// What arrives in a stall is swallowed; toxiproxy closes the connection at
	// its end.
	{"stall to RabbitMQ", 1, time.Second, 8 * time.Second, stall(ToRabbit)},
	{"stall from RabbitMQ", 1, time.Second, 8 * time.Second, stall(FromRabbit)},
	{"stall", 1, time.Second, 12 * time.Second, stall(ToRabbit, FromRabbit)},
	{"latency", 2, time.Second, 5 * time.Second, (*Faults).delay},
	{"bandwidth", 1, time.Second, 5 * time.Second, (*Faults).throttle},
	{"slices", 1, time.Second, 5 * time.Second, (*Faults).slice},
	{"reset", 2, time.Second, 3 * time.Second, (*Faults).reset},
}

// Run does harm and mends it, one after the other, with pauses to recover in
// between, until the time is over or ctx ends. All links are whole afterwards.
func (f *Faults) Run(ctx context.Context, length time.Duration) error {
	end := time.NewTimer(length)
	defer end.Stop()
	for {
		if err := f.One(ctx); err != nil {
			return err
		}
		pause := time.NewTimer(f.between(0, 3*time.Second))
		select {
		case <-pause.C:
		case <-end.C:
			pause.Stop()
			return nil
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// One does harm once, to one link or, one time in three, to all, and mends it.
func (f *Faults) One(ctx context.Context) (err error) {
	kind := f.choose()
	hold := f.between(kind.least, kind.most)
	if f.Longest > 0 {
		hold = min(hold, f.Longest)
	}
	links := f.links
	if len(links) > 1 && f.rand.IntN(3) > 0 {
		i := f.rand.IntN(len(links))
		links = links[i : i+1]
	}
	name := "all links"
	if len(links) == 1 {
		name = links[0].Name
	}
	f.Done[kind.name]++
	f.logf("%s for %v: %s", kind.name, hold.Round(time.Millisecond), name)
	for _, l := range links {
		if err := kind.begin(f, l); err != nil {
			return fmt.Errorf("%s of %s: %w", kind.name, l.Name, err)
		}
	}
	over := time.NewTimer(hold)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	for _, l := range links {
		if err := l.Mend(); err != nil {
			return fmt.Errorf("mending %s after %s: %w", l.Name, kind.name, err)
		}
	}
	return err
}

func (f *Faults) choose() *fault {
	sum := 0
	for i := range kinds {
		sum += f.weight(&kinds[i])
	}
	n := f.rand.IntN(sum)
	for i := range kinds {
		if n -= f.weight(&kinds[i]); n < 0 {
			return &kinds[i]
		}
	}
	panic("unreachable")
}

func (f *Faults) weight(k *fault) int {
	if f.Only != nil && !slices.Contains(f.Only, k.name) {
		return 0
	}
	return k.weigh
}

func (f *Faults) between(least, most time.Duration) time.Duration {
	return least + time.Duration(f.rand.Int64N(int64(most-least)))
}

func stall(ways ...Direction) func(*Faults, *Link) error {
	return func(_ *Faults, l *Link) error {
		for _, way := range ways {
			if err := l.Harm("timeout", way, Attributes{"timeout": 0}); err != nil {
				return err
			}
		}
		return nil
	}
}

func (f *Faults) way() Direction {
	if f.rand.IntN(2) == 0 {
		return ToRabbit
	}
	return FromRabbit
}

// delay is in milliseconds.
func (f *Faults) delay(l *Link) error {
	return l.Harm("latency", f.way(), Attributes{"latency": 20 + f.rand.IntN(400), "jitter": f.rand.IntN(20)})
}

// throttle is in KB a second.
func (f *Faults) throttle(l *Link) error {
	return l.Harm("bandwidth", f.way(), Attributes{"rate": 20 + f.rand.IntN(200)})
}

// slice is in bytes, with microseconds in between.
func (f *Faults) slice(l *Link) error {
	return l.Harm("slicer", f.way(), Attributes{"average_size": 10 + f.rand.IntN(200), "size_variation": 8, "delay": 50})
}

// reset resets connections some milliseconds after the first byte. Only those
// that begin later get an RST: hence the cut first.
func (f *Faults) reset(l *Link) error {
	if err := l.Cut(); err != nil {
		return err
	}
	if err := l.Harm("reset_peer", f.way(), Attributes{"timeout": f.rand.IntN(1000)}); err != nil {
		return err
	}
	return l.proxy.Enable()
}
