package amqp

import (
	"testing"

	"warren/gateway"
)

// stream is what a place is attached to: the check of each offset.
type testStream struct {
	first  uint64 // offset of the oldest
	checks []uint32
}

func (s testStream) id(i int) gateway.ID {
	return gateway.ID{Offset: s.first + uint64(i), Check: s.checks[i]}
}

// from is what RabbitMQ gives to who asks for an offset: the oldest, if it is
// too old; nothing, if it isn't there yet.
func (s testStream) from(offset uint64) (ids []gateway.ID) {
	for i := range s.checks {
		if id := s.id(i); id.Offset >= offset {
			ids = append(ids, id)
		}
	}
	return ids
}

func run(first uint64, check uint32, n int) (s testStream) {
	s.first = first
	for i := range n {
		s.checks = append(s.checks, check+uint32(i))
	}
	return s
}

// readAll attaches, and again where it is told to look further back, until
// the stream is read. It returns what is new, and the last verdict that isn't
// plain.
func readAll(t *testing.T, p *place, s testStream) (fresh []gateway.ID, special verdict) {
	t.Helper()
attachments:
	for range 5 {
		p.attach()
		var from uint64
		switch {
		case !p.read() || p.from == fromOldest:
		case p.from == fromEnd:
			from = s.id(len(s.checks) - 1).Offset
		case p.from == fromKnown:
			from = p.at(0).Offset
		default:
			from = p.last().Offset
		}
		for _, id := range s.from(from) {
			switch v := p.judge(id); v {
			case isForeign:
				continue attachments
			case isKnown:
			case isNext:
				fresh = append(fresh, id)
			default:
				special = v
				fresh = append(fresh, id)
			}
		}
		if p.first {
			p.silent()
			continue
		}
		return fresh, special
	}
	t.Fatal("never came to an end")
	return nil, 0
}

func TestPlace(t *testing.T) {
	join := func(a, b testStream) testStream {
		return testStream{a.first, append(append([]uint32{}, a.checks...), b.checks...)}
	}
	old := run(100, 1, 50) // 100 to 149
	for name, test := range map[string]struct {
		now     testStream
		fresh   []gateway.ID
		special verdict
	}{
		"as it was":                {old, nil, isNext},
		"grown":                    {join(old, run(0, 1000, 10)), run(150, 1000, 10).from(0), isNext},
		"its beginning gone":       {join(testStream{130, old.checks[30:]}, run(0, 1000, 10)), run(150, 1000, 10).from(0), isNext},
		"only the last one left":   {join(testStream{149, old.checks[49:]}, run(0, 1000, 1)), run(150, 1000, 1).from(0), isNext},
		"all that was read gone":   {run(150, 1000, 10), run(150, 1000, 10).from(0), isBehind},
		"more than that gone":      {run(170, 1000, 10), run(170, 1000, 10).from(0), isBehind},
		"its end cut":              {testStream{100, old.checks[:40]}, nil, isNext},
		"its end cut, and grown":   {join(testStream{100, old.checks[:40]}, run(0, 1000, 5)), run(140, 1000, 5).from(0), isOther},
		"its end cut, grown more":  {join(testStream{100, old.checks[:40]}, run(0, 1000, 50)), run(140, 1000, 50).from(0), isOther},
		"made anew and shorter":    {run(0, 1000, 5), run(0, 1000, 5).from(0), isOther},
		"made anew and longer":     {run(0, 1000, 500), run(0, 1000, 500).from(0), isOther},
		"made anew, some gone":     {run(120, 1000, 500), run(120, 1000, 500).from(0), isOther},
		"made anew, as far as old": {run(0, 1000, 150), run(0, 1000, 150).from(0), isOther},
	} {
		t.Run(name, func(t *testing.T) {
			var p place
			if fresh, _ := readAll(t, &p, old); len(fresh) != len(old.checks) {
				t.Fatalf("%d of %d read at first", len(fresh), len(old.checks))
			}
			fresh, special := readAll(t, &p, test.now)
			if len(fresh) != len(test.fresh) || special != test.special {
				t.Fatalf("%d new, verdict %d; want %d, %d", len(fresh), special, len(test.fresh), test.special)
			}
			for i := range fresh {
				if fresh[i] != test.fresh[i] {
					t.Fatalf("new %v, want %v", fresh[i], test.fresh[i])
				}
			}
			if again, v := readAll(t, &p, test.now); len(again) > 0 || v != isNext {
				t.Errorf("read again: %d new, verdict %d", len(again), v)
			}
		})
	}
}

// The last ones read are remembered, and no more.
func TestPlaceIsBounded(t *testing.T) {
	var p place
	p.attach()
	const n = 3*places + 7
	for i := range n {
		p.judge(gateway.ID{Offset: uint64(i), Check: 1})
	}
	if len(p.known) != places || p.last().Offset != n-1 || p.at(0).Offset != n-places {
		t.Errorf("%d known, %v to %v", len(p.known), p.at(0), p.last())
	}
	for _, offset := range []uint64{n - places, n - places + 1, n - 1} {
		if !p.has(gateway.ID{Offset: offset, Check: 1}) || p.has(gateway.ID{Offset: offset, Check: 2}) {
			t.Errorf("offset %d", offset)
		}
	}
	if p.has(gateway.ID{Offset: n - places - 1, Check: 1}) {
		t.Error("a forgotten one is known")
	}
}

// A stream that is silent only because RabbitMQ is slow is gone on with, however
// often it is.
func TestPlaceSlow(t *testing.T) {
	stream := run(0, 1, 50)
	for silences := range 9 {
		p := place{}
		p.attach()
		for _, id := range stream.from(20) { // what was before is no news
			p.judge(id)
		}
		for range silences {
			p.attach()
			p.silent()
		}
		if fresh, special := readAll(t, &p, testStream{0, append(stream.checks, 1000)}); len(fresh) != 1 || special != isNext {
			t.Errorf("after %d silences: %d new, verdict %d", silences, len(fresh), special)
		}
	}
}

// An offset that comes again, as it was, is known.
func TestPlaceRepeats(t *testing.T) {
	var p place
	p.attach()
	stream := run(0, 1, 5)
	for _, id := range stream.from(0) {
		p.judge(id)
	}
	if v := p.judge(stream.id(2)); v != isKnown || p.last() != stream.id(4) {
		t.Errorf("verdict %d, last %v", v, p.last())
	}
}
