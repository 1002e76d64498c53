//go:build linux

package main

import (
	"math"
	"slices"
)

// spread sums up the trials of one figure.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Trials int     `json:"trials"`
}

// spreadOf is the zero spread if there are no values.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	return spread{median(values), slices.Min(values), slices.Max(values), len(values)}
}

// median of an even count is the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	m := len(s) / 2
	if len(s)%2 == 1 {
		return s[m]
	}
	return (s[m-1] + s[m]) / 2
}

// ratios divides trial by trial: the two of a pair ran one after the other,
// so what slows the machine for a while slows both.
func ratios(server, yardstick []float64) []float64 {
	n := min(len(server), len(yardstick))
	r := make([]float64, n)
	for i := range r {
		r[i] = server[i] / yardstick[i]
	}
	return r
}

// slope is the rise of y for one step of x, from one point to another.
func slope(x1, y1, x2, y2 float64) float64 { return (y2 - y1) / (x2 - x1) }

// floats turns named numbers into plain ones.
func floats[T ~int64 | ~float64](values []T) []float64 {
	f := make([]float64, len(values))
	for i, v := range values {
		f[i] = float64(v)
	}
	return f
}

// quantile is the nearest-rank quantile of values, which it sorts.
func quantile(values []int64, q float64) int64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := int(math.Ceil(q * float64(len(values))))
	return values[min(max(rank, 1), len(values))-1]
}
