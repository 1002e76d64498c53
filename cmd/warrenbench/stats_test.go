//go:build linux

package main

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 2, 100}, 3},
	} {
		before := slices.Clone(c.in)
		if got := median(c.in); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.in, got, c.want)
		}
		if !slices.Equal(before, c.in) {
			t.Errorf("median moved its values: %v to %v", before, c.in)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestSpread(t *testing.T) {
	if got, want := spreadOf([]float64{2, 8, 4}), (spread{4, 2, 8, 3}); got != want {
		t.Errorf("spread %v, want %v", got, want)
	}
	if got := spreadOf(nil); got != (spread{}) {
		t.Errorf("spread of nothing: %v", got)
	}
}

func TestRatiosAreOfPairs(t *testing.T) {
	// The machine halves its speed for the second pair; the ratio stays.
	got := ratios([]float64{2, 4, 3}, []float64{1, 2, 2})
	if want := []float64{2, 2, 1.5}; !slices.Equal(got, want) {
		t.Errorf("ratios %v, want %v", got, want)
	}
}

func TestSlope(t *testing.T) {
	if got := slope(1000, 20e6, 15000, 27e6); got != 500 {
		t.Errorf("slope %v, want 500", got)
	}
}

func TestQuantile(t *testing.T) {
	values := make([]int64, 100)
	for i := range values {
		values[i] = int64(100 - i)
	}
	for q, want := range map[float64]int64{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing is %d", got)
	}
}

func TestFormats(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 0.9876: "0.988", 1.25: "1.25", 12.345: "12.3", 412.4: "412", 15234: "15234", 0.00123: "0.00123"} {
		if got := digits(v); got != want {
			t.Errorf("digits(%v) is %q, want %q", v, got, want)
		}
	}
	for n, want := range map[int]string{7: "7", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) is %q, want %q", n, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	f := compare("w", "µs", []float64{5, 6, 7}, []float64{4, 4, 4}) // ratio 1.5
	for _, c := range []struct {
		name  string
		judge func(*figure)
		want  string // met, with the target; "" for none
	}{
		{"none", func(f *figure) { f.ratioAtMost(0) }, ""},
		{"ratio", func(f *figure) { f.ratioAtMost(1.5) }, "yes ≤ 1.5 ×"},
		{"ratio missed", func(f *figure) { f.ratioAtMost(1.25) }, "NO ≤ 1.25 ×"},
		{"at most", func(f *figure) { f.valueAtMost(6) }, "yes ≤ 6 µs"},
		{"at most missed", func(f *figure) { f.valueAtMost(5) }, "NO ≤ 5 µs"},
		{"at least", func(f *figure) { f.valueAtLeast(6) }, "yes ≥ 6 µs"},
		{"at least missed", func(f *figure) { f.valueAtLeast(6.1) }, "NO ≥ 6.1 µs"},
	} {
		f := f
		c.judge(&f)
		got := ""
		if f.Met != nil {
			got = map[bool]string{true: "yes ", false: "NO "}[*f.Met] + f.Target
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	f := compare("CPU a delivery", "µs", []float64{5, 6, 7}, []float64{4, 4, 4})
	f.Bench = "delivery"
	f.ratioAtMost(1.25)
	f.note("said")
	g := figure{Bench: "memory", What: "idle", Unit: "B", Server: spreadOf([]float64{412})}
	var out bytes.Buffer
	if err := writeTable(&out, thisMachine(20000), []figure{f, g}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"6.00 µs (5.00 – 7.00)", "4.00 µs (4.00 – 4.00)", "1.50 × (1.25 – 1.75)", "≤ 1.25 ×", "NO",
		"412 B ", "delivery, CPU a delivery: said", "20,000 open files",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
