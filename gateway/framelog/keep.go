package framelog

import (
	"slices"
	"sync/atomic"
)

// A log may keep its frames for those who come later, within limits. It then
// holds on to its oldest segments, with a mark a frame. All of this is the
// writer's side: readers notice nothing of it.

const (
	// tightness is the number of segments that full limits are meant to take:
	// a log keeps up to one more.
	tightness = 4

	// busySegment is how small segments are made at least for that, where
	// frames come fast: what is read at once never spans two. (With 16 KiB a
	// delivery under full load cost twice as much, with this nothing.)
	busySegment = 64 << 10

	// quietSegment is the same where they come slowly.
	quietSegment = 4 << 10

	// keptCost is what a kept segment costs beside its buffer, index and
	// marks, in bytes: itself and its place in the list, with slack.
	keptCost = 96 + 96
)

// Mark is what a log knows of a frame that it keeps.
type Mark struct {
	Offset uint64 // ascends as a rule
	Check  uint32 // with Offset the name of the frame; not 0
	At     uint32 // when it was made: milliseconds of the caller's clock, which may wrap

	// The caller's own.
	Time  int64  // when it was made
	Name  string // shared by frames if Seq isn't 0
	Seq   uint64
	Topic string
}

// own is the bytes that m keeps alive beyond itself.
func (m *Mark) own() int64 {
	n := taken(len(m.Topic)) // it may outlive who else has it
	if m.Seq == 0 {
		n += taken(len(m.Name))
	}
	return n
}

const markSize = 64 // bytes

// Limits is what a log keeps at most. Each counts by itself.
type Limits struct {
	Frames int64
	Bytes  int64 // of frames
	Age    int32 // milliseconds
}

// keep is the kept part of a log.
type keep struct {
	limits *Limits
	list   []kept // oldest first, without holes
	fresh  int    // of list, from its end: made since the last seal
	frames int64  // appended since the log began
	bytes  int64  // cost of list
	last   Mark   // of the last frame that was dropped; zero if none was
	anew   int64  // number of the first frame since offsets began anew

	oldest atomic.Int64 // position up to which frames were dropped
}

// kept is a segment that is kept.
type kept struct {
	seg    *segment // the offsets of its marks ascend
	lo, hi uint64   // offsets of the first and the last
	first  int64    // number of its first frame since the log began
	names  int64    // bytes that its marks keep alive
	cost   int64    // bytes, with its buffer unless the next segment shares that
}

// NewKeeping makes an empty log that keeps frames within limits, which must not
// change.
func NewKeeping(limits *Limits) *Log {
	l := New()
	l.keep = &keep{limits: limits}
	return l
}

// AppendMarked is Append for a log that keeps frames. If At is before the last
// one's, that is taken instead. more says that it keeps more memory now: by a
// segment, or by the mark's texts.
func (l *Log) AppendMarked(size int, m Mark, encode func(dst []byte) []byte) (more bool) {
	k := l.keep
	if n := len(k.list); n > 0 {
		last := &k.list[n-1]
		if at := last.seg.marks[last.seg.count.Load()-1].At; int32(m.At-at) < 0 {
			m.At = at
		}
		if m.Offset <= last.hi {
			l.Seal() // offsets begin anew: search relies on their order
		}
	}
	i := l.put(size, &m, encode)
	k.frames++
	e := &k.list[len(k.list)-1]
	if i == 0 {
		e.lo = m.Offset
	}
	e.hi = m.Offset
	own := m.own()
	e.names += own
	e.cost += own
	k.bytes += own
	return i == 0 || own > 0
}

// largest bounds segments of frames of such a mean size: full limits make a few
// of them.
func (k *keep) largest(mean, least int) int {
	most := min(k.limits.Bytes, k.limits.Frames*int64(mean))
	return int(min(max(most/tightness, int64(least)), maxSegment))
}

// add keeps a segment that has just been linked, over a buffer of so many bytes
// which it may share with the one before.
func (k *keep) add(s *segment, buffer int, shared bool) {
	if shared {
		k.list[len(k.list)-1].cost -= taken(buffer)
		k.bytes -= taken(buffer)
	}
	s.marks = make([]Mark, len(s.ends))
	e := kept{seg: s, first: k.frames}
	e.cost = keptCost + taken(buffer) + e.index()
	k.bytes += e.cost
	k.list = append(k.list, e)
	k.fresh++
}

// index is what ends and marks cost.
func (e *kept) index() int64 {
	n := taken(markSize * len(e.seg.marks))
	if len(e.seg.ends) > len(e.seg.small) {
		n += taken(4 * len(e.seg.ends))
	}
	return n
}

// taken is about what the allocator takes for so many bytes: by classes of
// sizes, and by pages above.
func taken(bytes int) int64 {
	const page = 8 << 10
	if bytes > 4*page {
		return int64((bytes + page - 1) &^ (page - 1))
	}
	return int64(bytes + bytes/16)
}

// compact replaces the last segments, which are about to be sealed, by one that
// has no room left. Merging with those before keeps their number small where
// messages come one by one: a segment is joined by those behind it once they
// are half its size, so that a frame is copied only a few times. next is what
// follows.
func (k *keep) compact(next *segment) {
	n := len(k.list)
	if n == 0 {
		return
	}
	size := k.list[n-1].seg.size()
	frames := int(k.frames - k.list[n-1].first)
	most := k.largest(size/frames, quietSegment)
	from := n - 1
	for ; from > 0; from-- {
		e, after := &k.list[from-1], &k.list[from]
		more := e.seg.size()
		// Half a buffer can't be given back.
		shares := len(after.seg.buf) > 0 && &e.seg.buf[len(e.seg.buf)-1] == &after.seg.buf[len(after.seg.buf)-1]
		worth := n-from < k.fresh || more <= 2*size
		if e.hi >= after.lo || after.first == k.anew || !shares && (!worth || size+more > most) {
			break
		}
		size += more
		frames += int(after.first - e.first)
	}
	k.fresh = 0
	tight := keptCost + taken(size+(4+markSize)*frames) + k.list[from].names
	if from == n-1 && k.list[from].cost-tight <= tight/4 {
		return // not worth a copy
	}
	k.merge(from, size, frames, next)
}

// merge makes one segment of those from index from on.
func (k *keep) merge(from, size, frames int, next *segment) {
	old := k.list[from:]
	s := &segment{base: old[0].seg.base, buf: make([]byte, 0, size), ends: make([]uint32, 0, frames), marks: make([]Mark, 0, frames)}
	e := kept{seg: s, lo: old[0].lo, hi: old[len(old)-1].hi, first: old[0].first}
	for i := range old {
		o := old[i].seg
		n := int(o.count.Load())
		for _, end := range o.ends[:n] {
			s.ends = append(s.ends, uint32(len(s.buf))+end)
		}
		s.marks = append(s.marks, o.marks[:n]...)
		s.buf = append(s.buf, o.buf[:o.size()]...)
		e.names += old[i].names
		k.bytes -= old[i].cost
	}
	s.count.Store(int32(frames))
	s.next.Store(next)
	e.cost = keptCost + taken(size) + e.index() + e.names
	k.bytes += e.cost
	// Cursors may be in the old segments, and may come to them by links that
	// they hold: those lead on as before, and to the copy as well.
	if from > 0 {
		k.list[from-1].seg.next.Store(s)
	}
	for i := range old {
		old[i].seg.moved.Store(s)
	}
	clear(old[1:])
	old[0] = e
	if k.list = k.list[:from+1]; cap(k.list) > 2*len(k.list) {
		k.list = slices.Clone(k.list) // most channels are quiet
	}
}

// Kept is what the log keeps costs, in bytes of memory: more than the frames.
func (l *Log) Kept() int64 { return l.keep.bytes }

// Segments is the number of segments kept.
func (l *Log) Segments() int { return len(l.keep.list) }

// Drop lets go of the oldest segment kept.
func (l *Log) Drop() {
	k := l.keep
	e := &k.list[0]
	if e.seg == l.tail {
		l.made = 0
		l.link(&segment{base: l.end.Load()})
	}
	k.last = e.seg.marks[e.seg.count.Load()-1]
	k.bytes -= e.cost
	k.oldest.Store(e.seg.base + int64(e.seg.size()))
	*e = kept{}
	if k.list = k.list[1:]; len(k.list) == 0 {
		k.list = nil
	}
	k.fresh = min(k.fresh, len(k.list))
}

// Expired says that a segment is kept of which no frame is within the limits.
// now is of the marks' clock.
func (l *Log) Expired(now uint32) bool {
	k := l.keep
	return len(k.list) > 0 && l.Oldest(now) >= k.list[0].first+int64(k.list[0].seg.count.Load())
}

// Beyond is what a cursor keeps alive of the log that the log itself doesn't
// keep, in bytes. Any goroutine that owns the cursor.
func (l *Log) Beyond(c *Cursor) int64 {
	c.follow()
	end := l.End()
	if l.keep != nil {
		if end = l.keep.oldest.Load(); c.Pos() >= end {
			return 0
		}
	}
	return end - c.Pos() + int64(c.Buffer())
}
