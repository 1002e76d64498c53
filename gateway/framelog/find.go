package framelog

import "sort"

// Places in what a log keeps are numbers of frames since the log began. The
// methods here belong to the writer's side.

// Count is the number of frames appended: that of the next.
func (l *Log) Count() int64 { return l.keep.frames }

// Oldest is the number of the first frame within the limits, Count if there is
// none. now is of the marks' clock.
func (l *Log) Oldest(now uint32) int64 {
	k := l.keep
	if len(k.list) == 0 {
		return k.frames
	}
	n := max(k.list[0].first, k.frames-k.limits.Frames)
	n = max(n, k.from(l.End()-k.limits.Bytes))
	return max(n, k.since(now))
}

// from is the number of the first kept frame that begins at position pos or
// behind it.
func (k *keep) from(pos int64) int64 {
	i := sort.Search(len(k.list), func(i int) bool { return k.list[i].seg.base > pos }) - 1
	if i < 0 {
		return k.list[0].first
	}
	e := &k.list[i]
	off := int(pos - e.seg.base)
	if off == 0 {
		return e.first
	}
	return e.first + int64(search(e.seg.ends[:e.seg.count.Load()], off)) + 1
}

// since is the number of the first kept frame that is not too old.
func (k *keep) since(now uint32) int64 {
	young := func(m Mark) bool { return int32(now-m.At) <= k.limits.Age }
	last := func(e *kept) Mark { return e.seg.marks[e.seg.count.Load()-1] }
	i := sort.Search(len(k.list), func(i int) bool { return young(last(&k.list[i])) })
	if i == len(k.list) {
		return k.frames
	}
	e := &k.list[i]
	return e.first + int64(sort.Search(int(e.seg.count.Load()), func(j int) bool { return young(e.seg.marks[j]) }))
}

// Behind is the number of the frame that follows the one with this offset and
// check. The last one dropped is still known.
func (l *Log) Behind(offset uint64, check uint32) (number int64, ok bool) {
	k := l.keep
	for i := len(k.list) - 1; i >= 0; i-- {
		e := &k.list[i]
		if offset < e.lo || offset > e.hi {
			continue
		}
		n := int(e.seg.count.Load())
		j := sort.Search(n, func(j int) bool { return e.seg.marks[j].Offset >= offset })
		if e.seg.marks[j].Offset == offset && e.seg.marks[j].Check == check {
			return e.first + int64(j) + 1, true
		}
	}
	if k.last.Offset != offset || k.last.Check != check || check == 0 {
		return 0, false
	}
	if len(k.list) == 0 {
		return k.frames, true
	}
	return k.list[0].first, true
}

// Anew says that offsets begin anew.
func (l *Log) Anew() {
	l.Seal()
	l.keep.anew = l.keep.frames
}

// After is the number of the first frame kept whose offset is above this one,
// and whether no such frame was dropped; of frames since offsets began anew.
func (l *Log) After(offset uint64) (number int64, whole bool) {
	k := l.keep
	dropped := k.frames
	if len(k.list) > 0 {
		dropped = k.list[0].first
	}
	whole = dropped <= k.anew || k.last.Check == 0 || k.last.Offset <= offset
	i := sort.Search(len(k.list), func(i int) bool { return k.list[i].first >= k.anew && k.list[i].hi > offset })
	if i == len(k.list) {
		return k.frames, whole
	}
	e := &k.list[i]
	n := int(e.seg.count.Load())
	return e.first + int64(sort.Search(n, func(j int) bool { return e.seg.marks[j].Offset > offset })), whole
}

// Before is the name of the frame before this number; ok is false if that isn't
// known.
func (l *Log) Before(number int64) (offset uint64, check uint32, ok bool) {
	k := l.keep
	m := &k.last
	if len(k.list) > 0 && number > k.list[0].first {
		i := sort.Search(len(k.list), func(i int) bool { return k.list[i].first >= number }) - 1
		e := &k.list[i]
		m = &e.seg.marks[number-1-e.first]
	}
	return m.Offset, m.Check, m.Check != 0
}

// Dropped is the offset of the last frame that was kept and is not any more; ok
// is false if there is none.
func (l *Log) Dropped() (offset uint64, ok bool) { return l.keep.last.Offset, l.keep.last.Check != 0 }

// Frame is the next frame and its mark, in a log that keeps frames; ok is false
// at the end of the log. The cursor must be between frames. It isn't moved.
func (c *Cursor) Frame() (frame []byte, m *Mark, ok bool) {
	c.follow()
	n := c.seg.count.Load()
	i := search(c.seg.ends[:n], c.off+1)
	if i == int(n) {
		return nil, nil, false
	}
	return c.seg.buf[c.off:c.seg.ends[i]], &c.seg.marks[i], true
}

// At is a cursor before the frame of this number, which must be kept, or at the
// end.
func (l *Log) At(number int64) Cursor {
	k := l.keep
	if number >= k.frames {
		return l.Cursor()
	}
	i := sort.Search(len(k.list), func(i int) bool { return k.list[i].first > number }) - 1
	e := &k.list[i]
	c := Cursor{seg: e.seg}
	if j := number - e.first; j > 0 {
		c.off = int(e.seg.ends[j-1])
	}
	return c
}
