package framelog

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"
	"weak"
)

func plain(dst []byte) []byte { return dst }

// buffers is the lengths of the buffers from s on, each once.
func buffers(s *segment) (sizes []int) {
	var last *byte // of the buffer before
	for ; s != nil; s = s.next.Load() {
		if len(s.buf) == 0 {
			last = nil
		} else if end := &s.buf[len(s.buf)-1]; end != last {
			sizes = append(sizes, len(s.buf))
			last = end
		}
	}
	return sizes
}

// held is the bytes in memory from s on.
func held(s *segment) (n int) {
	for _, size := range buffers(s) {
		n += size
	}
	for ; s != nil; s = s.next.Load() {
		n += int(unsafe.Sizeof(*s))
		if len(s.ends) > len(s.small) {
			n += 4 * len(s.ends)
		}
	}
	return n
}

func TestBufferSizes(t *testing.T) {
	const seal = 0
	const kib = 1 << 10
	times := func(n, size int) []int { return slices.Repeat([]int{size}, n) }
	for _, c := range []struct {
		name   string
		frames []int
		want   []int
	}{
		{"none", nil, nil},
		{"the first is sized to its message", []int{66}, []int{66}},
		{"large first", []int{100 * kib}, []int{100 * kib}},
		{"too large first", []int{1000 * kib}, []int{1000 * kib}},
		{"doubling", times(15, 66), []int{66, 132, 264, 528}},
		{"doubling ends", times(8200, 64), []int{64, 128, 256, 512, kib, 2 * kib, 4 * kib, 8 * kib, 16 * kib,
			32 * kib, 64 * kib, 128 * kib, 256 * kib, 256 * kib}},
		{"message larger than the next", []int{10, 100, 1}, []int{10, 100, 200}},
		{"message larger than any", []int{10, 300 * kib, 10, 10}, []int{10, 300 * kib, 256 * kib}},
		{"sealed", []int{10, 20, 40, seal, 7, 7}, []int{10, 20, 40, 7, 14}},
		{"small frames use a buffer to its end", append([]int{128 * kib}, times(128*kib, 2)...), []int{128 * kib, 256 * kib}},
	} {
		l := New()
		first := l.tail
		for _, size := range c.frames {
			if size == seal {
				l.Seal()
			} else {
				l.Append(size, plain)
			}
		}
		if got := buffers(first); !slices.Equal(got, c.want) {
			t.Errorf("%s: buffers %v, want %v", c.name, got, c.want)
		}
	}
}

// TestWaste: what a log holds is in proportion to what was appended, whatever
// the order of sizes.
func TestWaste(t *testing.T) {
	const total = 2 << 20
	type run struct{ size, count int }
	for _, c := range []struct {
		name string
		most float64
		runs []run // over and over
	}{
		{"chat", 1.2, []run{{66, 1}}},
		{"empty messages", 3.3, []run{{2, 1}}},
		{"messages of a byte", 2.5, []run{{3, 1}}},
		{"large and small", 1.5, []run{{64<<10 + 10, 1}, {3, 1}}},
		{"over half of a buffer", 2.1, []run{{maxSegment/2 + 1, 1}}},
		{"all but fills a buffer", 2.1, []run{{3, 1}, {maxSegment - 2, 1}}},
		{"floods between large ones", 3.3, []run{{2, 1457}, {maxSegment - 9, 1}, {255, 1}}},
		{"the index guessed too low", 2.5, []run{{256, 900}, {2, 1100}, {maxSegment + 1, 1}}},
	} {
		l := New()
		first := l.tail
		for l.End() < total {
			for _, r := range c.runs {
				for range r.count {
					l.Append(r.size, plain)
				}
			}
		}
		if got := float64(held(first)) / float64(l.End()); got > c.most {
			t.Errorf("%s: %.2f bytes held a byte appended, want at most %v", c.name, got, c.most)
		}
	}
	random := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		var runs []run
		l := New()
		first := l.tail
		for range 1 + random.IntN(5) {
			size := 3 + random.IntN(1<<(1+random.IntN(19)))
			runs = append(runs, run{size, 1 + random.IntN(1+random.IntN(1+300_000/size))})
		}
		for l.End() < total {
			r := runs[random.IntN(len(runs))]
			for range r.count {
				l.Append(r.size, plain)
			}
		}
		if got := float64(held(first)) / float64(l.End()); got > 2.6 {
			t.Errorf("%v: %.2f bytes held a byte appended", runs, got)
		}
	}
}

// TestGarbage: the log keeps its last segment and nothing before it; a cursor,
// what is behind it.
func TestGarbage(t *testing.T) {
	l := New()
	c := l.Cursor()
	var segments []weak.Pointer[segment]
	var bytes []weak.Pointer[byte]
	for range 40 {
		l.Append(200<<10, plain)
		segments = append(segments, weak.Make(l.tail))
		bytes = append(bytes, weak.Make(&l.tail.buf[0]))
	}
	kept := func() (n int) {
		runtime.GC()
		for i := range segments {
			alive := segments[i].Value() != nil
			if (bytes[i].Value() != nil) != alive {
				t.Errorf("segment %d: kept %v, its buffer %v", i, alive, !alive)
			}
			if alive {
				n++
			}
		}
		return n
	}
	for read := range segments {
		b := c.Chunk(1 << 20)
		if n := kept(); n != len(segments)-read {
			t.Fatalf("%d segments read: %d kept, want %d", read, n, len(segments)-read)
		}
		c.Advance(len(b))
	}
	l.Seal()
	if n := kept(); n != 1 {
		t.Errorf("sealed, the cursor not moved on: %d segments kept, want 1", n)
	}
	c.Chunk(1)
	if n := kept(); n != 0 {
		t.Errorf("sealed, the cursor moved on: %d segments kept, want 0", n)
	}
	runtime.KeepAlive(l)
	runtime.KeepAlive(c)
}

func TestAllocations(t *testing.T) {
	payload := make([]byte, 66)
	encode := func(dst []byte) []byte { return append(dst, payload...) }
	const runs = 100 // and one to warm up
	fresh := make([]*Log, runs+1)
	for i := range fresh {
		fresh[i] = New()
	}
	i := 0
	if n := testing.AllocsPerRun(runs, func() { fresh[i].Append(len(payload), encode); i++ }); n > 2 {
		t.Errorf("first message on a new log: %v allocations, want at most 2", n)
	}
	for _, l := range fresh {
		l.Seal()
	}
	i = 0
	if n := testing.AllocsPerRun(runs, func() { fresh[i].Append(len(payload), encode); i++ }); n > 2 {
		t.Errorf("first message on a sealed log: %v allocations, want at most 2", n)
	}
	const many = 10_000
	l := New()
	c := l.Cursor()
	if n := testing.AllocsPerRun(10, func() {
		for range many {
			l.Append(len(payload), encode)
		}
	}); n > many/100 {
		t.Errorf("%d messages: %v allocations", many, n)
	}
	if n := testing.AllocsPerRun(runs, func() {
		b := c.Chunk(64 << 10)
		c.Advance(len(b) - 1)
		_, _, _ = c.Rest(), c.Frames(l.End()), c.Pos()
		c.Advance(1)
	}); n != 0 {
		t.Errorf("reading: %v allocations, want none", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	payload := make([]byte, 66)
	encode := func(dst []byte) []byte { return append(dst, payload...) }
	l := New()
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		l.Append(len(payload), encode)
	}
}
