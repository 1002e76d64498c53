//go:build linux

package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestDensest(t *testing.T) {
	for _, c := range []struct {
		times   []time.Duration
		stretch time.Duration
		want    int
	}{
		{nil, 1, 0},
		{[]time.Duration{7}, 1, 1},
		{[]time.Duration{0, 1, 2, 3, 4}, 2, 2}, // its end is no part of it
		{[]time.Duration{0, 9, 10, 11, 20}, 10, 3},
		{[]time.Duration{5, 5, 5, 30}, 10, 3},
	} {
		if got := densest(c.times, c.stretch); got != c.want {
			t.Errorf("densest of %v within %v: %d, want %d", c.times, c.stretch, got, c.want)
		}
	}
}

// A server that dies in place of a drain fails the benchmark.
func TestDepartureWantsCloseFrames(t *testing.T) {
	b := testBench(t)
	b.node = func(context.Context, string) (target, func() error, error) {
		y, err := startYardstick(64, true, t.Output())
		if err != nil {
			return target{}, nil, err
		}
		y.target.process = y.process
		return y.target, y.stop, nil
	}
	_, err := departure{clients: 5, rate: 10, period: time.Second, trials: 1}.run(t.Context(), b)
	if err == nil || !strings.Contains(err.Error(), "a client of a node that drains: ") {
		t.Errorf("error %v", err)
	}
}
