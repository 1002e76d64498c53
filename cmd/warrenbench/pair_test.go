//go:build linux

package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAlternate(t *testing.T) {
	server, yard := contender{target: target{name: "server"}}, contender{target: target{name: "yardstick"}}
	var order []string
	trial := func(c contender) (micros, error) {
		order = append(order, c.name)
		return micros(len(order)), nil
	}
	s, y, err := alternate(&bench{log: t.Output()}, "order", 3, server, yard, trial)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, " "), "server yardstick yardstick server server yardstick"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if !slices.Equal(s, []micros{1, 4, 5}) || !slices.Equal(y, []micros{2, 3, 6}) {
		t.Errorf("server %v, yardstick %v", s, y)
	}

	order = nil
	if s, _, err := alternate(&bench{log: t.Output(), trials: 1}, "fewer", 3, server, yard, trial); err != nil || len(s) != 1 {
		t.Errorf("%d trials with -trials 1, %v", len(s), err)
	}
	broken := errors.New("broken")
	_, _, err = alternate(&bench{log: t.Output()}, "what", 3, server, yard, func(c contender) (micros, error) {
		if c.name == "yardstick" {
			return 0, broken
		}
		return 1, nil
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "what, trial 1 of the yardstick") {
		t.Errorf("error %v, want %v with the trial", err, broken)
	}
}
