package framelog_test

import (
	"testing"

	"warren/gateway/framelog"
)

// seal stands for a call of Seal among the sizes of frames.
const seal = 0

// TestEverywhere: every method at every position, inside frames and between
// them, in old segments and behind them.
func TestEverywhere(t *testing.T) {
	repeat := func(n int, sizes ...int) (all []int) {
		for range n {
			all = append(all, sizes...)
		}
		return all
	}
	for _, c := range []struct {
		name  string
		sizes []int
	}{
		{"nothing", nil},
		{"sealed while empty", []int{seal, seal}},
		{"one frame", []int{5}},
		{"two frames, two segments", []int{5, 5}},
		{"doubling", []int{2, 2, 2, 2, 2, 2, 2, 2, 2}},
		{"frame larger than the segment", []int{2, 2, 50, 2, 2}},
		{"sealed at the end", []int{7, 7, 7, seal}},
		{"sealed in between", []int{7, seal, 7, 7, seal, seal, 300, 2}},
		{"sealed after each", repeat(6, 10, seal)},
		{"small after large", append([]int{400}, repeat(80, 3)...)},
		{"large after small", append(repeat(80, 3), 400, 400)},
		{"alternating", repeat(12, 100, 3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel()
			first := m.log.Cursor()
			for _, size := range c.sizes {
				if size == seal {
					m.log.Seal()
				} else {
					m.append(t, size)
				}
			}
			for pos := int64(0); pos <= m.end(); pos++ {
				cursor := first
				for cursor.Pos() < pos {
					b := m.checkChunk(t, &cursor, 1<<20)
					cursor.Advance(min(len(b), int(pos-cursor.Pos())))
				}
				// Between segments a place has two names: the end of the one,
				// and the beginning of the other once Chunk has looked.
				for range 2 {
					m.checkRest(t, &cursor)
					for _, end := range append([]int64{0}, m.ends...) {
						m.checkFrames(t, &cursor, end)
					}
					for _, most := range []int{1, 2, 3, 5, 8, 99, 100, 101, 1 << 20} {
						there := cursor
						m.checkChunk(t, &there, most)
					}
					m.checkChunk(t, &cursor, 1)
				}
			}
		})
	}
}

// TestChunkIsFull: within a segment a chunk is as long as it may be.
func TestChunkIsFull(t *testing.T) {
	m := newModel()
	for range 7 {
		m.append(t, 100) // segments of 1, 2 and 4; the next has room for 8
	}
	c := m.log.Cursor()
	for range 8 {
		m.append(t, 100)
	}
	for most, want := range map[int]int{1: 100, 99: 100, 100: 100, 101: 100, 199: 100, 200: 200, 799: 700, 800: 800, 5000: 800} {
		there := c
		if got := m.checkChunk(t, &there, most); len(got) != want {
			t.Errorf("at most %d: %d bytes, want %d", most, len(got), want)
		}
	}
	m.checkChunk(t, &c, 100)
	c.Advance(30)
	for most, want := range map[int]int{1: 70, 70: 70, 169: 70, 170: 170} {
		there := c
		if got := m.checkChunk(t, &there, most); len(got) != want {
			t.Errorf("inside a frame, at most %d: %d bytes, want %d", most, len(got), want)
		}
	}
}

// TestCursorAtEnd: a new cursor sees what is appended from then on.
func TestCursorAtEnd(t *testing.T) {
	m := newModel()
	var cursors []framelog.Cursor
	for _, size := range []int{3, 3, seal, 3, 500, seal, seal, 3} {
		c := m.log.Cursor()
		if c.Pos() != m.end() || len(c.Chunk(1)) != 0 {
			t.Fatalf("a new cursor is at %d of %d", c.Pos(), m.end())
		}
		cursors = append(cursors, c)
		if size == seal {
			m.log.Seal()
		} else {
			m.append(t, size)
		}
	}
	for i := range cursors {
		drainCursor(t, m, &cursors[i])
	}
}

// drainCursor reads to the end.
func drainCursor(t testing.TB, m *model, c *framelog.Cursor) {
	t.Helper()
	for {
		b := m.checkChunk(t, c, 1<<20)
		if len(b) == 0 {
			return
		}
		c.Advance(len(b))
	}
}

func TestSealed(t *testing.T) {
	m := newModel()
	if !m.log.Sealed() {
		t.Error("a new log holds a buffer")
	}
	c := m.log.Cursor()
	if c.Buffer() > 0 {
		t.Error("a cursor in a new log keeps a buffer")
	}
	m.append(t, 10)
	if m.log.Sealed() {
		t.Error("sealed by an append")
	}
	m.log.Seal()
	if !m.log.Sealed() || m.log.End() != 10 {
		t.Errorf("after Seal: sealed %v, end %d", m.log.Sealed(), m.log.End())
	}
	drainCursor(t, m, &c)
	if c.Buffer() > 0 {
		t.Error("a cursor that has caught up with a sealed log keeps a buffer")
	}
	if c := m.log.Cursor(); c.Pos() != 10 || c.Buffer() > 0 {
		t.Errorf("a new cursor in a sealed log is at %d, buffered %v", c.Pos(), c.Buffer() > 0)
	}
	m.append(t, 20)
	drainCursor(t, m, &c)
	if c.Pos() != 30 || c.Buffer() == 0 {
		t.Errorf("after the next append the cursor is at %d, buffered %v", c.Pos(), c.Buffer() > 0)
	}
}
