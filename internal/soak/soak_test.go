package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"warren/internal/rig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A short soak goes well and says so.
func TestSoak(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out bytes.Buffer
	// By this seed it begins with a gateway that is stopped, then one that is
	// drained, and then a kill.
	if err := run(ctx, options{length: 10 * time.Second, seed: 428}, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Logf("%s", &out)
	for _, line := range []string{
		`lost +0`, `twice +0`, `out of order +0`, `clients that left the one order +0`,
		`gateway stopped \(SIGTERM\) +1`, `gateway drained \(POST /drain\) +1`,
		`sent +[1-9]\d\d+`, `times these resumed +[1-9]`, `node1, resident MiB: \d`,
	} {
		if !regexp.MustCompile(`(?m)` + line).MatchString(out.String()) {
			t.Errorf("the output has no line with %q", line)
		}
	}
}

// What is wrong with what clients heard is an error, and so is the end of a run
// before its time.
func TestSoakFails(t *testing.T) {
	z := zeros{}
	z.add(rig.Verdict{Missing: []rig.Span{{First: 3, End: 5}}, Twice: 3, Disorder: 4, Extra: 1})
	if z.lost != 2 || z.twice != 3 || z.disorder != 5 {
		t.Errorf("added up to %+v", z)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, options{length: time.Hour}, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was interrupted: %v", err)
	}
}

func TestMeter(t *testing.T) {
	steady, growing := meter{readings: map[string][]reading{}}, meter{readings: map[string][]reading{}}
	leaking := meter{readings: map[string][]reading{}}
	for i := range 40 {
		noise := i * 7919 % 5
		steady.readings["n"] = append(steady.readings["n"], reading{50<<10 + noise<<10, 20 + noise})
		growing.readings["n"] = append(growing.readings["n"], reading{50<<10 + i<<10, 20})
		leaking.readings["n"] = append(leaking.readings["n"], reading{50 << 10, 20 + i/4})
	}
	if err := steady.judge("n"); err != nil {
		t.Errorf("steady: %v", err)
	}
	if err := growing.judge("n"); err == nil || !strings.Contains(err.Error(), "memory of n grew") {
		t.Errorf("growing: %v", err)
	}
	if err := leaking.judge("n"); err == nil || !strings.Contains(err.Error(), "descriptors of n grew") {
		t.Errorf("leaking: %v", err)
	}
	if err := steady.judge("other"); err == nil {
		t.Error("a node that was never measured passes")
	}
}
