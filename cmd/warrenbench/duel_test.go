//go:build linux

package main

import (
	"errors"
	"slices"
	"testing"
)

func TestDuelTakesTurns(t *testing.T) {
	var did []string
	at := func(name string) side[micros] {
		return side[micros]{name, func() (micros, error) {
			did = append(did, name)
			return micros(len(did)), nil
		}}
	}
	d := duel[micros]{
		what: "w", trials: 3, sides: []side[micros]{at("a"), at("b")},
		setUp: func() (func() error, error) {
			did = append(did, "up")
			return func() error { did = append(did, "down"); return nil }, nil
		},
	}
	v, err := d.run(&bench{log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"up", "a", "b", "down", "up", "b", "a", "down", "up", "a", "b", "down"}; !slices.Equal(did, want) {
		t.Errorf("did %q, want %q", did, want)
	}
	if !slices.Equal(v[0], []micros{2, 7, 10}) || !slices.Equal(v[1], []micros{3, 6, 11}) {
		t.Errorf("values %v", v)
	}
}

func TestDuelEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	down := 0
	d := duel[micros]{
		what: "w", trials: 3,
		sides: []side[micros]{{"a", func() (micros, error) { return 1, nil }}, {"b", func() (micros, error) { return 0, broken }}},
		setUp: func() (func() error, error) { return func() error { down++; return nil }, nil },
	}
	if _, err := d.run(&bench{log: t.Output()}); !errors.Is(err, broken) || err.Error() != "w, trial 1 of the b: broken" {
		t.Errorf("error %v", err)
	}
	if down != 1 {
		t.Errorf("torn down %d times", down)
	}
	d.setUp = func() (func() error, error) { return nil, broken }
	if _, err := d.run(&bench{log: t.Output()}); !errors.Is(err, broken) {
		t.Errorf("set-up: error %v", err)
	}
}
