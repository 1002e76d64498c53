//go:build linux

package main

import (
	"errors"
	"fmt"
)

// duel is trials of a subject and what it is compared with, round by round, each
// in turn the first: the figures move with the machine, their ratios less so.
type duel[T fmt.Stringer] struct {
	what   string
	trials int
	setUp  func() (tearDown func() error, err error) // of each round; may be nil
	sides  []side[T]                                 // the subject first
}

type side[T any] struct {
	name  string
	trial func() (T, error)
}

// run returns the values of each side.
func (d duel[T]) run(b *bench) ([][]T, error) {
	if b.trials > 0 {
		d.trials = b.trials
	}
	values := make([][]T, len(d.sides))
	for i := range d.trials {
		if err := d.round(b, i, values); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (d duel[T]) round(b *bench, i int, values [][]T) (err error) {
	if d.setUp != nil {
		tearDown, setUpErr := d.setUp()
		if setUpErr != nil {
			return fmt.Errorf("%s, trial %d: %w", d.what, i+1, setUpErr)
		}
		defer func() { err = errors.Join(err, tearDown()) }()
	}
	for k := range d.sides {
		who := (i + k) % len(d.sides)
		v, err := d.sides[who].trial()
		if err != nil {
			return fmt.Errorf("%s, trial %d of the %s: %w", d.what, i+1, d.sides[who].name, err)
		}
		fmt.Fprintf(b.log, "%s, %d of %d, %s: %v\n", d.what, i+1, d.trials, d.sides[who].name, v)
		values[who] = append(values[who], v)
	}
	return nil
}
