package framelog

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"
	"weak"
)

// checkBooks looks at what a log keeps: without holes, named in order, and
// reckoned at what it costs.
func checkBooks(t *testing.T, l *Log) {
	t.Helper()
	k := l.keep
	var sum, held int64
	for i := range k.list {
		e := &k.list[i]
		n := int(e.seg.count.Load())
		if n == 0 || e.lo != e.seg.marks[0].Offset || e.hi != e.seg.marks[n-1].Offset || len(e.seg.marks) != len(e.seg.ends) {
			t.Fatalf("segment %d of %d frames, %d ends, %d marks: %d to %d", i, n, len(e.seg.ends), len(e.seg.marks), e.lo, e.hi)
		}
		for j := range n - 1 {
			if e.seg.marks[j].Offset >= e.seg.marks[j+1].Offset {
				t.Fatalf("segment %d: offset %d, then %d", i, e.seg.marks[j].Offset, e.seg.marks[j+1].Offset)
			}
		}
		end, number := e.seg.base+int64(e.seg.size()), e.first+int64(n)
		if i == len(k.list)-1 {
			if end != l.End() || number != k.frames {
				t.Fatalf("the last segment ends at %d of %d, with frame %d of %d", end, l.End(), number, k.frames)
			}
		} else if next := &k.list[i+1]; end != next.seg.base || number != next.first || follower(e.seg) != next.seg {
			t.Fatalf("behind segment %d, which ends at %d, frame %d, is another at %d, frame %d", i, end, number, next.seg.base, next.first)
		}
		sum += e.cost
		held += int64(unsafe.Sizeof(*e)) + int64(unsafe.Sizeof(*e.seg)) + e.index()
	}
	if len(k.list) > 0 {
		for _, size := range buffers(k.list[0].seg) {
			held += taken(size)
		}
	}
	slack := int64(len(k.list) * keptCost)
	if k.oldest.Load() > 0 {
		slack += maxSegment // the rest of a buffer, of which the first part was dropped
	}
	if sum != k.bytes || held > sum || sum-held > slack {
		t.Fatalf("%d segments cost %d bytes, %d are counted, %d in memory", len(k.list), sum, k.bytes, held)
	}
	if k.fresh > len(k.list) {
		t.Fatalf("%d of %d segments are fresh", k.fresh, len(k.list))
	}
}

// follower is the next segment that isn't empty.
func follower(s *segment) *segment {
	for s = s.next.Load(); s.size() == 0; s = s.next.Load() {
	}
	return s
}

// TestKeptCost: the books are right whatever happens.
func TestKeptCost(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 2))
		l := NewKeeping(&Limits{Frames: 1 << 20, Bytes: 8 << 20, Age: 1000})
		offset := uint64(1000)
		add := func(size, times int) {
			for range times {
				offset++
				l.AppendMarked(size, Mark{Offset: offset, Check: 1}, plain)
			}
		}
		for range 200 {
			switch random.IntN(7) {
			case 0:
				add(2+random.IntN(100<<10), 1)
			case 1: // an index that was guessed too low
				add(1000, 20)
				add(2, 1000)
			case 2:
				l.Seal()
			case 3:
				if l.Segments() > 0 {
					l.Drop()
				}
			case 4:
				offset -= uint64(random.IntN(20))
			default:
				add(2+random.IntN(100), random.IntN(100))
			}
			checkBooks(t, l)
		}
		for l.Segments() > 0 {
			l.Drop()
			checkBooks(t, l)
		}
	}
}

// TestKeptTightly: a log that is sealed after each message keeps few segments,
// and little more than the messages.
func TestKeptTightly(t *testing.T) {
	const frames, size = 5000, 66
	l := NewKeeping(&Limits{Frames: 1 << 20, Bytes: 8 << 20, Age: 1000})
	made := runtime.MemStats{}
	runtime.ReadMemStats(&made)
	before := made.TotalAlloc
	for i := range frames {
		l.AppendMarked(size, Mark{Offset: uint64(i), Check: 1}, plain)
		l.Seal()
		checkBooks(t, l)
		if n := l.Segments(); n > 30 {
			t.Fatalf("after %d messages: %d segments", i+1, n)
		}
	}
	const each = size + 4 + markSize
	if got := l.Kept(); got > frames*each*5/4 {
		t.Errorf("%d messages of %d bytes are kept in %d", frames, size, got)
	}
	runtime.ReadMemStats(&made)
	if copied := (made.TotalAlloc - before) / (frames * each); copied > 40 {
		t.Errorf("each message was copied some %d times", copied)
	}
}

// TestKeptSlowly: where messages come slowly, hardly more are kept than asked
// for.
func TestKeptSlowly(t *testing.T) {
	const frames, size = 100, 66
	l := NewKeeping(&Limits{Frames: frames, Bytes: 8 << 20, Age: 1000})
	most := int64(0)
	for i := range 20 * frames {
		l.AppendMarked(size, Mark{Offset: uint64(i), Check: 1}, plain)
		l.Seal()
		for l.Expired(0) {
			l.Drop()
		}
		most = max(most, l.Kept())
	}
	if want := int64(frames*(size+4+markSize)*3/2 + 20*keptCost); most > want {
		t.Errorf("for %d messages of %d bytes up to %d bytes are kept, want at most %d", frames, size, most, want)
	}
}

// TestKeptSegments: segments are few where much is kept, and small where little
// is, but not tiny.
func TestKeptSegments(t *testing.T) {
	for _, c := range []struct {
		name    string
		limits  Limits
		largest int
	}{
		{"much", Limits{Frames: 1 << 20, Bytes: 64 << 20, Age: 1000}, maxSegment},
		{"few bytes", Limits{Frames: 1 << 20, Bytes: 400 << 10, Age: 1000}, 100 << 10},
		{"few messages", Limits{Frames: 5000, Bytes: 64 << 20, Age: 1000}, 5000 * 66 / tightness},
		{"hardly any", Limits{Frames: 10, Bytes: 64 << 20, Age: 1000}, busySegment},
	} {
		l := NewKeeping(&c.limits)
		first := l.Cursor()
		for i := range 30_000 {
			l.AppendMarked(66, Mark{Offset: uint64(i), Check: 1}, plain)
			for l.Expired(0) {
				l.Drop()
			}
		}
		largest := 0
		for _, n := range buffers(first.seg) {
			largest = max(largest, n)
		}
		if largest != c.largest {
			t.Errorf("%s: segments of up to %d bytes, want %d", c.name, largest, c.largest)
		}
		if most := c.limits.Frames*(66+4+markSize)*3/2 + int64(3*c.largest); l.Kept() > most {
			t.Errorf("%s: %d bytes kept, want at most %d", c.name, l.Kept(), most)
		}
	}
}

// TestKeptGarbage: what is dropped is garbage, and what was replaced by a copy.
func TestKeptGarbage(t *testing.T) {
	l := NewKeeping(&Limits{Frames: 1 << 20, Bytes: 8 << 20, Age: 1000})
	c := l.Cursor()
	var old []weak.Pointer[segment]
	for i := range 50 {
		l.AppendMarked(100, Mark{Offset: uint64(i), Check: 1}, plain)
		old = append(old, weak.Make(l.tail))
	}
	alive := func() (n int) {
		runtime.GC()
		for _, p := range old {
			if p.Value() != nil {
				n++
			}
		}
		return n
	}
	if n := alive(); n == 0 {
		t.Fatal("none is kept")
	}
	l.Seal()
	if l.Beyond(&c) != 0 {
		t.Errorf("a cursor at the oldest frame costs %d bytes beyond", l.Beyond(&c))
	}
	if n := alive(); n != 0 {
		t.Errorf("%d segments are kept beside their copy", n)
	}
	copied := weak.Make(l.keep.list[0].seg)
	for l.Segments() > 0 {
		l.Drop()
	}
	if got, want := l.Beyond(&c), int64(100*50+c.Buffer()); got != want {
		t.Errorf("a cursor at the start costs %d bytes beyond, want %d", got, want)
	}
	c = l.Cursor()
	if runtime.GC(); copied.Value() != nil {
		t.Error("a segment was dropped and is still there")
	}
	runtime.KeepAlive(l)
	runtime.KeepAlive(c)
}
