//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// figure is one line of the report. Its values are in Unit.
type figure struct {
	Bench     string   `json:"benchmark"`
	What      string   `json:"what"`
	Unit      string   `json:"unit"`
	Server    spread   `json:"server"`
	Yardstick *spread  `json:"yardstick,omitempty"`
	Ratio     *spread  `json:"ratio,omitempty"` // server / yardstick, pair by pair
	Target    string   `json:"target,omitempty"`
	Met       *bool    `json:"met,omitempty"`
	Notes     []string `json:"notes,omitempty"`
}

// compare makes a figure of the trials of both.
func compare(what, unit string, server, yardstick []float64) figure {
	y, r := spreadOf(yardstick), spreadOf(ratios(server, yardstick))
	return figure{What: what, Unit: unit, Server: spreadOf(server), Yardstick: &y, Ratio: &r}
}

func (f *figure) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

// Those below judge medians; a bound of 0 is none.

func (f *figure) ratioAtMost(bound float64) {
	if bound > 0 {
		f.judge(fmt.Sprintf("≤ %g ×", bound), f.Ratio.Median <= bound)
	}
}

func (f *figure) ratioAtLeast(bound float64) {
	if bound > 0 {
		f.judge(fmt.Sprintf("≥ %g ×", bound), f.Ratio.Median >= bound)
	}
}

func (f *figure) valueAtMost(bound float64) {
	if bound > 0 {
		f.judge(fmt.Sprintf("≤ %g %s", bound, f.Unit), f.Server.Median <= bound)
	}
}

func (f *figure) valueAtLeast(bound float64) {
	if bound > 0 {
		f.judge(fmt.Sprintf("≥ %g %s", bound, f.Unit), f.Server.Median >= bound)
	}
}

func (f *figure) judge(target string, met bool) { f.Target, f.Met = target, &met }

// machine is what the figures depend on.
type machine struct {
	OS          string `json:"os"`
	Kernel      string `json:"kernel"`
	CPUs        int    `json:"cpus"`
	Go          string `json:"go"`
	Descriptors int    `json:"descriptors"`
}

func thisMachine(descriptors int) machine {
	m := machine{OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(), Descriptors: descriptors}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return m
}

const legend = `Median (min – max) of the trials; server and yardstick take turns, the ratio is of each pair.
Yardsticks: one thread that accepts, reads a head, answers a fixed 101; and writes one fixed frame to each socket.
Through RabbitMQ: a program that publishes with confirms and consumes. Of replays: the same server while nothing is replayed.
Of the JSON protocol: raw clients of the same server. Of a drain: an even share. Of HAProxy: the tutorial's plain form.
CPU: user and system time of all threads, from the process's CPU clock (nanoseconds).
Allocations are counted inside the package: go test -run '^$' -bench . -benchmem ./gateway
`

// writeTable prints the report for people.
func writeTable(w io.Writer, m machine, figures []figure) error {
	fmt.Fprintf(w, "warrenbench on %s, kernel %s, %d CPUs, %s, %s open files\n\n", m.OS, m.Kernel, m.CPUs, m.Go, thousands(m.Descriptors))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "benchmark\tfigure\tserver\tyardstick\tratio\ttarget\tmet")
	for _, f := range figures {
		target, met := "–", "–"
		if f.Met != nil {
			target, met = f.Target, "NO"
			if *f.Met {
				met = "yes"
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Bench, f.What, f.Server.text(f.Unit), f.Yardstick.text(f.Unit), f.Ratio.text("×"), target, met)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	fmt.Fprintln(w)
	for _, f := range figures {
		for _, n := range f.Notes {
			fmt.Fprintf(w, "%s, %s: %s\n", f.Bench, f.What, n)
		}
	}
	_, err := fmt.Fprintf(w, "\n%s", legend)
	return err
}

// writeJSON prints it for programs.
func writeJSON(w io.Writer, m machine, figures []figure) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Machine machine  `json:"machine"`
		Figures []figure `json:"figures"`
	}{m, figures})
}

// text is "median unit (min – max)"; a dash if there is nothing.
func (s *spread) text(unit string) string {
	if s == nil || s.Trials == 0 {
		return "–"
	}
	if s.Trials == 1 {
		return fmt.Sprintf("%s %s", digits(s.Median), unit)
	}
	return fmt.Sprintf("%s %s (%s – %s)", digits(s.Median), unit, digits(s.Min), digits(s.Max))
}

// digits shows three significant digits and no exponent.
func digits(v float64) string {
	decimals := 2
	if a := math.Abs(v); a > 0 {
		decimals = 2 - int(math.Floor(math.Log10(a)))
	}
	return strconv.FormatFloat(v, 'f', min(max(decimals, 0), 6), 64)
}

// thousands groups digits: 15,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func mebibytes(n int64) string {
	return strings.TrimSpace(digits(float64(n)/(1<<20))) + " MiB"
}
