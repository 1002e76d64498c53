package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"warren/internal/rig"
)

// hush ends the sending, and waits until everyone who sits has heard the last
// message of everyone who talks, and then the last word.
func (s *soak) hush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	if err := s.program.Stop(ctx); err != nil {
		return err
	}
	for _, t := range s.seats {
		t.hush()
	}
	if err := rig.Await(ctx, s.heardAll); err != nil {
		return err
	}
	if err := rig.Say(ctx, s.broker.URL(), exchange, room, rig.LastWord); err != nil {
		return err
	}
	for _, t := range s.seats {
		select {
		case <-t.current().Done():
		case <-ctx.Done():
			return fmt.Errorf("%s doesn't hear the last word", t.current().Who)
		}
	}
	return nil
}

func (s *soak) heardAll() error {
	s.sources.mu.Lock()
	whole := slices.Clone(s.sources.whole)
	s.sources.mu.Unlock()
	for _, t := range s.seats {
		c := t.current()
		for _, source := range whole {
			if last := c.Last(source.ID()); last < source.Mark()-1 {
				return fmt.Errorf("%s heard message %d of source %d, which sent %d", c.Who, last, source.ID(), source.Mark())
			}
		}
	}
	return nil
}

// zeros are counts that must be 0.
type zeros struct {
	lost, twice, disorder int
	strayed               []error // left the one order
}

// judge adds up what those who sit have heard.
func (s *soak) judge() (z zeros) {
	for _, t := range s.seats {
		c := t.current()
		for _, source := range s.sources.whole {
			z.add(c.Judge(source))
		}
		for _, source := range s.sources.cut {
			most := 0 // that anybody heard
			for _, other := range s.seats {
				most = max(most, other.current().Last(source.ID())+1)
			}
			z.add(c.JudgeSpan(source.ID(), rig.Span{First: 0, End: most}))
		}
		if err := c.OutOfOrder(); err != nil {
			z.strayed = append(z.strayed, err)
		}
	}
	z.strayed = append(z.strayed, s.visits.wrong...)
	return z
}

func (z *zeros) add(v rig.Verdict) {
	z.lost += v.Lost()
	z.twice += v.Twice
	z.disorder += v.Disorder + v.Extra
}

// verdict prints what was done and what came of it. Nobody listens any more.
func (s *soak) verdict() error {
	z := s.judge()
	flat, judged := error(nil), "growth is not judged in less than "+judgedFrom.String()
	if s.o.length >= judgedFrom {
		flat = s.meter.judge(s.nodes[0].Name)
		judged = fmt.Sprintf("judged by %s, which was never ended: median of the last quarter against that of the second; memory may grow by %.0f %% and %d MiB, descriptors by %d",
			s.nodes[0].Name, 100*(memoryGrowth-1), memorySlack>>10, descriptorsSlack)
	}
	s.logf("over")
	all := s.harm.all()
	s.table("injected", func(row func(string, int)) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			row(name, all[name])
		}
	})
	sent, heard, resumed, behind := 0, 0, 0, 0
	for _, source := range slices.Concat(s.sources.whole, s.sources.cut) {
		sent += source.Mark()
	}
	for _, t := range s.seats {
		heard += t.current().Total()
		resumed += t.times
		behind += t.behind
	}
	s.table("messages", func(row func(string, int)) {
		row("sent", sent)
		row(fmt.Sprintf("heard by %d clients that stay", len(s.seats)), heard)
		row("times these resumed", resumed)
		row("times a node was behind them", behind)
		row("heard by clients that come and go", s.visits.heard)
		row("times these came", s.visits.count)
	})
	s.table("must be 0", func(row func(string, int)) {
		row("lost", z.lost)
		row("twice", z.twice)
		row("out of order", z.disorder)
		row("clients that left the one order", len(z.strayed))
	})
	fmt.Fprintf(s.out, "%s\n(%s)\n", &s.meter, judged)
	errs := append(z.strayed[:min(len(z.strayed), 10)], flat)
	if z.lost+z.twice+z.disorder > 0 {
		errs = append(errs, fmt.Errorf("%d messages lost, %d twice, %d out of order, added up over %d clients", z.lost, z.twice, z.disorder, len(s.seats)))
	}
	return errors.Join(errs...)
}

// table prints counts.
func (s *soak) table(title string, rows func(row func(name string, count int))) {
	fmt.Fprintf(s.out, "\n%s\n", title)
	rows(func(name string, count int) { fmt.Fprintf(s.out, "  %-36s %9d\n", name, count) })
}

// all is what was done, and how often.
func (h *harm) all() map[string]int {
	all := maps.Clone(h.done)
	for name, times := range h.faults.Done {
		all["link: "+name] = times
	}
	return all
}
