// Package framelog is an append-only log of encoded frames: one writer
// appends, any number of readers hold cursors and see whole frames only.
//
// The log is a linked list of segments. What no cursor points at any more is
// garbage: there is no ring, no reference count and no tail to race with.
package framelog

import (
	"sort"
	"sync/atomic"
)

const (
	// maxSegment bounds what a cursor pins beyond its own lag, in bytes.
	maxSegment = 256 << 10

	// An index has at least an entry for minIndex bytes of its segment, and at
	// most one for maxIndex, 4 bytes each: so a wrong guess at the frames to
	// come costs little. (All in all a log holds at most about 2.5 bytes a byte
	// appended, and 3.1 if the frames are empty.)
	minIndex = 256
	maxIndex = 8
)

// segment is a run of frames. buf and ends are written by the writer beyond
// what count publishes, and read by readers below it. Successive segments may
// lie in one buffer, each with an index of its own.
type segment struct {
	base  int64    // position in the log of buf[0]
	buf   []byte   // its length is its capacity
	ends  []uint32 // where each frame ends in buf
	marks []Mark   // parallel to ends, if the log keeps frames
	small [2]uint32
	count atomic.Int32 // frames published
	next  atomic.Pointer[segment]
	moved atomic.Pointer[segment] // a copy with these frames among others: see compact
}

// size is the bytes published.
func (s *segment) size() int {
	n := s.count.Load()
	if n == 0 {
		return 0
	}
	return int(s.ends[n-1])
}

// Log is the writer's side. Its methods need one caller at a time. The zero
// value is not ready: see New.
type Log struct {
	tail *segment
	made int          // size of the last buffer in bytes, 0 if sealed
	end  atomic.Int64 // position behind the last frame
	keep *keep        // nil if it keeps no frames
}

// New makes an empty log. It holds no buffer until the first append.
func New() *Log { return &Log{tail: new(segment)} }

// End is the position behind the last frame, in bytes since the log began.
// Any goroutine.
func (l *Log) End() int64 { return l.end.Load() }

// Cursor is a place at the end of the log.
func (l *Log) Cursor() Cursor { return Cursor{l.tail, l.tail.size()} }

// Sealed says that the log holds no buffer.
func (l *Log) Sealed() bool { return len(l.tail.buf) == 0 }

// Append adds a frame of size bytes, which encode appends to the empty slice
// it is given, and publishes it.
//
// A log that keeps frames needs marks: see AppendMarked.
func (l *Log) Append(size int, encode func(dst []byte) []byte) { l.put(size, nil, encode) }

// put appends a frame and returns its index in its segment. m is nil unless the
// log keeps frames.
func (l *Log) put(size int, m *Mark, encode func(dst []byte) []byte) (index int) {
	t := l.tail
	used, count := t.size(), int(t.count.Load())
	if used+size > len(t.buf) || count == len(t.ends) {
		t = l.grow(used, count, size)
		used, count = 0, 0
	}
	encode(t.buf[used : used : used+size])
	t.ends[count] = uint32(used + size)
	if m != nil {
		t.marks[count] = *m
	}
	t.count.Store(int32(count + 1)) // publishes the bytes and their end
	l.end.Add(int64(size))
	return count
}

// grow links a segment that fits a frame of size bytes: over the rest of the
// buffer, if only the index was full, else over a new one. The first buffer is
// sized to its frame, later ones double, since most channels are quiet and few
// are busy.
func (l *Log) grow(used, count, size int) *segment {
	mean := (used + size) / (count + 1) // frame of late
	most := maxSegment
	if l.keep != nil {
		most = l.keep.largest(mean, busySegment)
	}
	buf := l.tail.buf[used:]
	shared := len(buf) >= size
	if !shared {
		l.made = max(size, min(2*l.made, most))
		buf = make([]byte, l.made)
	}
	s := &segment{base: l.end.Load(), buf: buf}
	if s.ends = s.small[:]; len(buf) > size {
		frames := len(buf)/mean + len(buf)/mean/8
		frames = min(max(frames, len(buf)/minIndex), len(buf)/maxIndex)
		if frames > len(s.small) {
			s.ends = make([]uint32, frames)
		}
	}
	l.link(s)
	if l.keep != nil {
		l.keep.add(s, l.made, shared)
	}
	return s
}

// Seal ends the last segment, so that it is garbage once all cursors have
// moved on, to an empty one. What the log keeps of it is kept tightly.
func (l *Log) Seal() {
	if l.Sealed() {
		return
	}
	next := &segment{base: l.end.Load()}
	if l.keep != nil {
		l.keep.compact(next)
	}
	l.made = 0
	l.link(next)
}

func (l *Log) link(s *segment) {
	l.tail.next.Store(s)
	l.tail = s
}

// Cursor is a place in a log, owned by its reader. It keeps alive the log from
// its segment on.
type Cursor struct {
	seg *segment
	off int // bytes into seg
}

// Pos is the place in bytes since the log began.
func (c *Cursor) Pos() int64 { return c.seg.base + int64(c.off) }

// Buffer is the size in bytes of the segment that the cursor keeps alive.
func (c *Cursor) Buffer() int {
	c.follow()
	return len(c.seg.buf)
}

// follow leaves a segment that is read to its end, or was replaced by a copy.
func (c *Cursor) follow() {
	for {
		// next before size: a segment with a successor is final.
		next, moved := c.seg.next.Load(), c.seg.moved.Load()
		switch {
		case moved != nil:
			c.off += int(c.seg.base - moved.base)
			c.seg = moved
		case next != nil && c.off == c.seg.size():
			c.seg, c.off = next, 0
		default:
			return
		}
	}
}

// Chunk is what can be read at the cursor: whole frames, or the rest of one and
// whole frames, at most most bytes unless one frame is longer; empty at the end
// of the log. It never spans segments.
func (c *Cursor) Chunk(most int) []byte {
	c.follow()
	size := c.seg.size()
	switch {
	case c.off == size:
		return nil
	case size-c.off > most:
		size = c.cut(c.off + most)
	}
	return c.seg.buf[c.off:size:size]
}

// cut is the last frame end at or before off, or the first behind the cursor.
func (c *Cursor) cut(off int) int {
	ends := c.seg.ends[:c.seg.count.Load()]
	if i := search(ends, off+1); i > 0 && int(ends[i-1]) > c.off {
		return int(ends[i-1])
	}
	return int(ends[search(ends, c.off+1)])
}

// search is the index of the first end at or behind off.
func search(ends []uint32, off int) int {
	return sort.Search(len(ends), func(i int) bool { return int(ends[i]) >= off })
}

// Advance moves the cursor on by n bytes of the last chunk.
func (c *Cursor) Advance(n int) { c.off += n }

// Rest is what is left of the frame that the cursor is inside of, empty if it
// is between frames.
func (c *Cursor) Rest() []byte {
	ends := c.seg.ends[:c.seg.count.Load()]
	i := search(ends, c.off)
	if c.off == 0 || i == len(ends) || int(ends[i]) == c.off {
		return nil
	}
	return c.seg.buf[c.off:ends[i]]
}

// Frames counts the frames that begin from the cursor on and before position
// end, which must lie between frames.
func (c *Cursor) Frames(end int64) int {
	n := 0
	for s, off := c.seg, c.off; s != nil && s.base < end; s, off = s.next.Load(), 0 {
		ends := s.ends[:s.count.Load()]
		first := 0
		if off > 0 {
			first = search(ends, off) + 1 // that one ends here, or began before
		}
		last := min(len(ends), search(ends, int(end-s.base))+1)
		n += max(0, last-first)
	}
	return n
}
