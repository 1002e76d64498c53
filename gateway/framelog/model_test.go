package framelog_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"warren/gateway/framelog"
)

// What a log holds at a position is known from the position: readers check it
// without sharing anything with the writer.
const period = 1<<20 + 7

var pattern = func() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, period+1<<20)
	for i := range p {
		if i < period {
			p[i] = byte(r.Uint32())
		} else {
			p[i] = p[i-period]
		}
	}
	return p
}()

// content is the n bytes at position pos, at most a MiB.
func content(pos int64, n int) []byte { return pattern[pos%period:][:n] }

// model is a log and what it must hold.
type model struct {
	log  *framelog.Log
	ends []int64 // of each frame, in bytes since the log began
	put  func(size int, encode func([]byte) []byte)
}

func newModel() *model {
	log := framelog.New()
	return &model{log: log, put: log.Append}
}

func (m *model) end() int64 {
	if len(m.ends) == 0 {
		return 0
	}
	return m.ends[len(m.ends)-1]
}

func (m *model) append(t testing.TB, size int) {
	t.Helper()
	pos := m.end()
	m.put(size, func(dst []byte) []byte {
		if len(dst) != 0 || cap(dst) != size {
			t.Fatalf("encode was given %d bytes with room for %d, want 0 and %d", len(dst), cap(dst), size)
		}
		return append(dst, content(pos, size)...)
	})
	m.ends = append(m.ends, pos+int64(size))
	if got := m.log.End(); got != m.end() {
		t.Fatalf("End = %d, want %d", got, m.end())
	}
}

// boundary says whether pos lies between frames.
func (m *model) boundary(pos int64) bool {
	_, found := slices.BinarySearch(m.ends, pos)
	return found || pos == 0
}

// after is the end of the frame at or around pos.
func (m *model) after(pos int64) int64 {
	i, _ := slices.BinarySearch(m.ends, pos+1)
	return m.ends[i]
}

// frames counts those that begin from pos on and before end.
func (m *model) frames(pos, end int64) (n int) {
	start := int64(0)
	for _, e := range m.ends {
		if start >= pos && start < end {
			n++
		}
		start = e
	}
	return n
}

// checkChunk takes a chunk at c and checks it.
func (m *model) checkChunk(t testing.TB, c *framelog.Cursor, most int) []byte {
	t.Helper()
	pos := c.Pos()
	b := c.Chunk(most)
	if c.Pos() != pos {
		t.Fatalf("Chunk moved the cursor from %d to %d", pos, c.Pos())
	}
	end := pos + int64(len(b))
	switch {
	case pos == m.end():
		if len(b) > 0 {
			t.Fatalf("at the end, %d: %d bytes", pos, len(b))
		}
		return nil
	case len(b) == 0:
		t.Fatalf("at %d of %d: nothing", pos, m.end())
	case !m.boundary(end):
		t.Fatalf("at %d: %d bytes, which split a frame", pos, len(b))
	case len(b) > most && end != m.after(pos):
		t.Fatalf("at %d: %d bytes, over %d, are more than a frame", pos, len(b), most)
	case cap(b) != len(b):
		t.Fatalf("at %d: %d bytes with room to overwrite %d", pos, len(b), cap(b)-len(b))
	case !bytes.Equal(b, content(pos, len(b))):
		t.Fatalf("at %d: %d bytes are not what was appended", pos, len(b))
	}
	return b
}

func (m *model) checkRest(t testing.TB, c *framelog.Cursor) {
	t.Helper()
	pos := c.Pos()
	var want []byte
	if !m.boundary(pos) {
		want = content(pos, int(m.after(pos)-pos))
	}
	if got := c.Rest(); !bytes.Equal(got, want) {
		t.Fatalf("at %d: Rest of %d bytes, want %d", pos, len(got), len(want))
	}
}

func (m *model) checkFrames(t testing.TB, c *framelog.Cursor, end int64) {
	t.Helper()
	if got, want := c.Frames(end), m.frames(c.Pos(), end); got != want {
		t.Fatalf("from %d to %d: %d frames, want %d", c.Pos(), end, got, want)
	}
}
