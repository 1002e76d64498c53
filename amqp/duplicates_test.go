package amqp

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"warren/gateway"
)

const other = "other.0123456789ab"

// Bounds of the tests.
const (
	foreignAge = 2 * time.Minute
	maxForeign = 1 << 10 // a generation
)

func newTestDuplicates() *duplicates {
	return newDuplicates(100, "self.0123456789ab", 2*maxForeign, foreignAge)
}

func TestSequences(t *testing.T) {
	type step struct {
		seq   uint64
		isNew bool
	}
	tests := map[string]struct {
		publisher     string
		steps         []step
		holes, filled uint64
	}{
		"in order":                     {other, []step{{1, true}, {2, true}, {3, true}}, 0, 0},
		"again":                        {other, []step{{1, true}, {1, false}, {2, true}, {1, false}, {2, false}}, 0, 0},
		"resent window":                {other, []step{{1, true}, {2, true}, {1, false}, {2, false}, {3, true}}, 0, 0},
		"a hole":                       {other, []step{{1, true}, {4, true}}, 2, 0},
		"a hole filled":                {other, []step{{1, true}, {4, true}, {2, true}, {3, true}, {2, false}, {5, true}}, 2, 2},
		"starts where it is first met": {other, []step{{1000, true}, {1001, true}, {999, false}}, 0, 0},
		"this node starts at 1":        {"self.0123456789ab", []step{{3, true}, {2, true}}, 2, 1},
		"older than the history":       {other, []step{{1, true}, {3, true}, {3 + minHistory, true}, {3, false}, {2, false}, {4, true}}, minHistory, 1},
		"far ahead":                    {other, []step{{1, true}, {1 << 40, true}, {1<<40 - 1, true}, {1<<40 - minHistory, true}, {1<<40 - minHistory, false}, {1, false}}, 0, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newTestDuplicates()
			for i, s := range test.steps {
				id, got := d.isNew(appID, formatID(test.publisher, s.seq), time.Now)
				if got != s.isNew {
					t.Errorf("step %d: %d is new: %v", i, s.seq, got)
				}
				if want := (gateway.MessageID{Publisher: test.publisher, Seq: s.seq}); id != want {
					t.Errorf("step %d: id %+v, want %+v", i, id, want)
				}
			}
			if d.holes != test.holes || d.filled != test.filled {
				t.Errorf("%d holes, %d filled, want %d and %d", d.holes, d.filled, test.holes, test.filled)
			}
		})
	}
}

// The bitmap against a plain set, over a stream with jumps and resends.
func TestSequencesAgainstSet(t *testing.T) {
	d, seen, highest := newTestDuplicates(), map[uint64]bool{}, uint64(0)
	x := uint64(1)
	for range 200_000 {
		x = x*6364136223846793005 + 1442695040888963407
		seq := highest + 1
		switch x >> 60 {
		case 0:
			seq += x >> 33 % 50
		case 1, 2, 3:
			seq = max(1, highest-min(highest, x>>33%(minHistory+100)))
		}
		tooOld := highest >= minHistory && seq <= highest-minHistory
		_, got := d.isNew(appID, formatID("self.0123456789ab", seq), time.Now)
		if want := !seen[seq] && !tooOld; got != want {
			t.Fatalf("%d (highest %d) is new: %v", seq, highest, got)
		} else if want {
			seen[seq] = true
		}
		highest = max(highest, seq)
	}
	if lost := d.holes - d.filled; lost != highest-uint64(len(seen)) {
		t.Errorf("lost %d, not %d", lost, highest-uint64(len(seen)))
	}
}

func TestPublishersAreBounded(t *testing.T) {
	d := newTestDuplicates()
	name := func(i int) string { return fmt.Sprintf("n%d.0123456789ab", i) }
	for i := range 3 * maxPublishers {
		if !d.isNewSeq(name(i), 5) {
			t.Fatal("a new publisher's message is a duplicate")
		}
		d.isNewSeq(name(0), 5) // not idle
	}
	if len(d.publishers) != maxPublishers {
		t.Errorf("%d publishers are remembered", len(d.publishers))
	}
	if d.isNewSeq(name(0), 5) || d.isNewSeq(name(3*maxPublishers-1), 5) {
		t.Error("a publisher that isn't idle was forgotten")
	}
}

func TestForeignIDs(t *testing.T) {
	d, now := newTestDuplicates(), time.Now()
	clock := func() time.Time { return now }
	check := func(app, id string, want bool) {
		t.Helper()
		name, got := d.isNew(app, id, clock)
		if got != want {
			t.Errorf("%s %s is new: %v", app, id, got)
		}
		if name != (gateway.MessageID{Publisher: id}) {
			t.Errorf("%s %s is called %+v", app, id, name)
		}
	}
	check("a", "1", true)
	check("a", "1", false)
	check("b", "1", true) // another program's
	check("a", "", true)
	check("a", "", true)
	// Not Warren's, however it looks; nor an id of Warren's that isn't one.
	check("a", formatID(other, 2), true)
	check("a", formatID(other, 1), true)
	check(appID, "1", true)
	check(appID, "1", false)
	now = now.Add(foreignAge)
	check("a", "1", false)
	check("c", "1", true)
	now = now.Add(foreignAge)
	check("a", "1", true)
	check("c", "1", false)
	for i := range 5 * maxForeign {
		check("many", fmt.Sprint(i), true)
		if n := len(d.foreign) + len(d.older); n > 2*maxForeign {
			t.Fatalf("%d ids are remembered", n)
		}
	}
	check("many", fmt.Sprint(4*maxForeign), false)
}

// Ids are kept in histories: all of a publisher share its name.
func TestPublishersNameIsShared(t *testing.T) {
	d := newTestDuplicates()
	for _, publisher := range []string{other, "self.0123456789ab"} {
		var first *byte
		// The last is judged by its id: it was passed over by a jump.
		for i, seq := range []uint64{1, 2, 1, 1 << 40, 1<<40 - 2*minHistory} {
			id, _ := d.isNew(appID, formatID(publisher, seq), time.Now)
			if name := unsafe.StringData(id.Publisher); i == 0 {
				first = name
			} else if name != first {
				t.Errorf("id %d of %s has a name of its own", seq, publisher)
			}
			d.isNew(appID, formatID("another.0123456789ab", uint64(i+1)), time.Now)
		}
	}
}

func TestDuplicatesDontAllocate(t *testing.T) {
	d := newTestDuplicates()
	ids := []string{formatID(other, 1), formatID("self.0123456789ab", 1)}
	if n := testing.AllocsPerRun(100, func() {
		for _, id := range ids {
			d.isNew(appID, id, time.Now)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
