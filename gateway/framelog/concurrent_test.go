package framelog_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"warren/gateway/framelog"
)

// TestReadersWhileWriting: readers that come at any time see every byte from
// their place on, and whole frames, while the log grows and is sealed. For the
// race detector above all.
func TestReadersWhileWriting(t *testing.T) {
	const (
		readers = 8
		total   = 16 << 20
	)
	m := newModel()
	var wait sync.WaitGroup
	var done atomic.Bool // the log has its last frame
	random := rand.New(rand.NewPCG(3, 4))
	frames := 0
	started := 0
	for m.end() < total {
		if started < readers && m.end() >= int64(started)*total/readers/2 {
			started++
			c, seed := m.log.Cursor(), uint64(started)
			wait.Go(func() { readAlong(t, c, m.log, &done, seed) })
		}
		size := 2 + random.IntN(200)
		switch random.IntN(200) {
		case 0:
			size = 2 + random.IntN(400<<10)
		case 1, 2, 3:
			size = 2 + random.IntN(20<<10)
		case 4:
			m.log.Seal()
		case 5:
			runtime.Gosched()
		}
		m.append(t, size)
		frames++
	}
	done.Store(true)
	wait.Wait()
	if started != readers {
		t.Errorf("%d readers, want %d", started, readers)
	}
}

// readAlong reads from c to the end of the log in pieces of all sizes.
func readAlong(t *testing.T, c framelog.Cursor, log *framelog.Log, done *atomic.Bool, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	inside := false // the cursor is inside a frame
	for pos := c.Pos(); ; pos = c.Pos() {
		finished := done.Load()
		b := c.Chunk(1 + random.IntN(1<<(1+random.IntN(18))))
		switch {
		case c.Pos() != pos:
			t.Errorf("reader %d: Chunk moved the cursor from %d to %d", seed, pos, c.Pos())
			return
		case len(b) == 0 && finished:
			if pos != log.End() {
				t.Errorf("reader %d: nothing at %d of %d", seed, pos, log.End())
			}
			return
		case len(b) == 0:
			if pos < log.End() && len(c.Chunk(1)) == 0 {
				t.Errorf("reader %d: nothing at %d before the end", seed, pos)
				return
			}
			runtime.Gosched()
			continue
		case !bytes.Equal(b, content(pos, len(b))):
			t.Errorf("reader %d: wrong bytes at %d", seed, pos)
			return
		}
		rest := c.Rest()
		if inside != (len(rest) > 0) || len(rest) > len(b) {
			t.Errorf("reader %d at %d, inside a frame %v: %d bytes left of it, a chunk of %d", seed, pos, inside, len(rest), len(b))
			return
		}
		n := len(b)
		if random.IntN(3) == 0 {
			n = random.IntN(len(b) + 1)
		}
		whole := c.Frames(pos + int64(len(b))) // of the chunk
		c.Advance(n)
		inside = len(c.Rest()) > 0
		if n == len(b) && inside {
			t.Errorf("reader %d: a chunk ends inside a frame at %d", seed, c.Pos())
			return
		}
		if left := c.Frames(pos + int64(len(b))); left > whole || n == len(b) && left > 0 {
			t.Errorf("reader %d at %d: %d frames left of %d", seed, c.Pos(), left, whole)
			return
		}
	}
}

// TestReadersWhileKeeping: the same for a log that keeps frames, drops them and
// replaces segments by copies. Readers begin anywhere in what is kept.
func TestReadersWhileKeeping(t *testing.T) {
	const (
		readers = 12
		total   = 8 << 20
	)
	m := newKeepModel(framelog.Limits{Frames: 4000, Bytes: 1 << 20, Age: 1000})
	var wait sync.WaitGroup
	var done atomic.Bool
	random := rand.New(rand.NewPCG(5, 6))
	for started := 0; m.end() < total; {
		if started < readers && m.end() >= int64(started+1)*total/readers/2 {
			started++
			number := m.log.Oldest(m.now)
			c, seed := m.log.At(number+random.Int64N(m.log.Count()-number+1)), uint64(started)
			wait.Go(func() { readAlong(t, c, m.log, &done, seed) })
		}
		size := 2 + random.IntN(200)
		switch random.IntN(100) {
		case 0:
			size = 2 + random.IntN(100<<10)
		case 1, 2, 3, 4:
			m.log.Seal()
		case 5:
			runtime.Gosched()
		case 6:
			for m.log.Expired(m.now) {
				m.log.Drop()
			}
		}
		m.add(t, size, 0)
	}
	done.Store(true)
	wait.Wait()
}

// TestReaderAtTheEnd: a reader that looks while a segment gets its last frame
// and a successor does not miss that frame.
func TestReaderAtTheEnd(t *testing.T) {
	const size, total = 4, 100_000 * 4
	log := framelog.New()
	var wait sync.WaitGroup
	for range 2 {
		c := log.Cursor()
		wait.Go(func() {
			for read := int64(0); read < total; {
				b := c.Chunk(1 << 20)
				if c.Pos() != read || !bytes.Equal(b, content(read, len(b))) {
					t.Errorf("at %d after %d bytes: frames are missing", c.Pos(), read)
					return
				}
				c.Advance(len(b))
				read += int64(len(b))
			}
		})
	}
	for pos := int64(0); pos < total; pos += size {
		log.Append(size, func(dst []byte) []byte { return append(dst, content(pos, size)...) })
		log.Seal()
	}
	wait.Wait()
}
