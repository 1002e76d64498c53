package framelog_test

import (
	"math/rand/v2"
	"testing"

	"warren/gateway/framelog"
)

// keepModel is a log that keeps frames, and what it must know of them.
type keepModel struct {
	*model
	limits framelog.Limits
	now    uint32
	next   framelog.Mark   // the name of the next frame
	marks  []framelog.Mark // of each frame since the log began
	first  int             // number of the first frame kept
}

func newKeepModel(limits framelog.Limits) *keepModel {
	// The clock is about to wrap.
	m := &keepModel{limits: limits, now: -uint32(limits.Age) - 50, next: framelog.Mark{Offset: 1000, Check: 1}}
	log := framelog.NewKeeping(&m.limits)
	m.model = &model{log: log, put: func(size int, encode func([]byte) []byte) {
		m.next.Offset++
		before := log.Segments()
		more := log.AppendMarked(size, m.next, encode)
		if log.Segments() > before && !more {
			panic("it keeps more and doesn't say so")
		}
		mark := m.next
		if n := len(m.marks); n > m.first && int32(mark.At-m.marks[n-1].At) < 0 {
			mark.At = m.marks[n-1].At
		}
		m.marks = append(m.marks, mark)
	}}
	return m
}

// add appends a frame made now, or so many milliseconds ago.
func (m *keepModel) add(t testing.TB, size, ago int) {
	t.Helper()
	m.next.At = m.now - uint32(ago)
	m.append(t, size)
}

// restart lets offsets begin anew, so far below.
func (m *keepModel) restart(below uint64) {
	m.next.Offset -= min(below, m.next.Offset)
	m.next.Check++
}

func (m *keepModel) start(number int) int64 {
	if number == 0 {
		return 0
	}
	return m.ends[number-1]
}

// oldest is the first frame within the limits, by their definition.
func (m *keepModel) oldest() int {
	number := len(m.ends)
	for number > m.first {
		is := number - 1
		if int64(len(m.ends)-is) > m.limits.Frames || m.end()-m.start(is) > m.limits.Bytes || int32(m.now-m.marks[is].At) > m.limits.Age {
			break
		}
		number = is
	}
	return number
}

// drop lets go of a segment and finds out which frames it had.
func (m *keepModel) drop(t testing.TB) {
	t.Helper()
	if m.log.Segments() == 0 {
		return
	}
	before := m.log.Segments()
	m.log.Drop()
	if m.log.Segments() != before-1 {
		t.Fatalf("%d segments after one of %d was dropped", m.log.Segments(), before)
	}
	// Of those dropped, the last is still known.
	for known := false; !known; m.first++ {
		_, known = m.log.Behind(m.marks[m.first].Offset, m.marks[m.first].Check)
	}
}

// expire drops what is wholly beyond the limits.
func (m *keepModel) expire(t testing.TB) {
	t.Helper()
	for m.log.Expired(m.now) {
		m.drop(t)
		if m.first > m.oldest() {
			t.Fatalf("frames from %d on were dropped, and %d is within the limits", m.first, m.oldest())
		}
	}
}

// check compares all that can be asked. Checks are all different: see restart.
func (m *keepModel) check(t testing.TB) {
	t.Helper()
	m.checkOldest(t)
	if got := m.log.Count(); got != int64(len(m.ends)) {
		t.Fatalf("%d frames, want %d", got, len(m.ends))
	}
	for number := range m.marks {
		m.checkMark(t, number)
	}
	for number := m.first; number <= len(m.ends); number++ {
		if c := m.log.At(int64(number)); c.Pos() != m.start(number) {
			t.Fatalf("frame %d is at %d, want %d", number, c.Pos(), m.start(number))
		}
	}
}

func (m *keepModel) checkOldest(t testing.TB) {
	t.Helper()
	if got, want := m.log.Oldest(m.now), m.oldest(); got != int64(want) {
		t.Fatalf("oldest frame within the limits: %d, want %d of %d", got, want, len(m.ends))
	}
}

func (m *keepModel) checkMark(t testing.TB, number int) {
	t.Helper()
	mark := m.marks[number]
	got, ok := m.log.Behind(mark.Offset, mark.Check)
	if want := number >= m.first-1; ok != want || ok && got != int64(number)+1 {
		t.Fatalf("behind frame %d is %d, %v; kept are %d to %d", number, got, ok, m.first, len(m.ends))
	}
	for _, other := range []framelog.Mark{{Offset: mark.Offset, Check: mark.Check + 1<<20}, {Offset: mark.Offset + 1<<40, Check: mark.Check}} {
		if got, ok := m.log.Behind(other.Offset, other.Check); ok {
			t.Fatalf("a name that was never given leads to frame %d", got)
		}
	}
}

// TestKeep: limits are exact, names and numbers lead to their frames, whatever
// comes in which order, and memory follows.
func TestKeep(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := newKeepModel(framelog.Limits{
			Frames: 1 + random.Int64N(1<<random.IntN(10)),
			Bytes:  1 + random.Int64N(1<<random.IntN(20)),
			Age:    1 + random.Int32N(2000),
		})
		cursors := []framelog.Cursor{m.log.Cursor()}
		for range 400 {
			switch random.IntN(12) {
			case 0:
				m.log.Seal()
			case 1:
				m.drop(t)
			case 2:
				m.now += uint32(random.IntN(500))
			case 3:
				m.restart(uint64(random.IntN(100)))
			case 4:
				m.next.Offset += uint64(random.IntN(5))
			case 5:
				m.add(t, 2+random.IntN(1<<(1+random.IntN(18))), 0)
			case 6: // from before
				m.add(t, 2+random.IntN(200), random.IntN(1000))
			case 7:
				number := m.first + random.IntN(len(m.ends)-m.first+1)
				cursors = append(cursors, m.log.At(int64(number)))
			case 8:
				c := &cursors[random.IntN(len(cursors))]
				b := m.checkChunk(t, c, 1+random.IntN(1<<(1+random.IntN(18))))
				c.Advance(random.IntN(len(b) + 1))
				m.checkRest(t, c)
			default:
				m.add(t, 2+random.IntN(200), 0)
			}
			if random.IntN(2) == 0 {
				m.expire(t)
			}
			m.checkOldest(t)
		}
		m.check(t)
		for i := range cursors {
			m.checkFrames(t, &cursors[i], m.end())
			drainCursor(t, m.model, &cursors[i])
		}
		m.now += uint32(m.limits.Age) + 1
		m.expire(t)
		if m.log.Segments() != 0 || m.log.Kept() != 0 {
			t.Fatalf("seed %d: all is too old, and %d segments of %d bytes are kept", seed, m.log.Segments(), m.log.Kept())
		}
		m.check(t)
		m.add(t, 10, 0)
		m.check(t)
	}
}

// FuzzKeep runs a program of what a log that keeps frames is asked.
func FuzzKeep(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{20, 20, 20, 0, 9, 0, 9, 1, 0, 9, 2, 0, 5, 3, 7, 4, 0, 8, 5, 1})
	f.Add([]byte{3, 255, 9, 6, 40, 10, 1, 6, 40, 10, 1, 6, 9, 200, 1, 5, 0, 7, 9, 2, 2, 2})
	f.Add([]byte{255, 255, 255, 6, 255, 3, 1, 6, 20, 250, 8, 5, 9, 1, 4, 200, 0, 7, 3, 20, 0, 9, 8, 0, 255})
	f.Fuzz(func(t *testing.T, program []byte) {
		next := func() int {
			if len(program) == 0 {
				return 0
			}
			b := program[0]
			program = program[1:]
			return int(b)
		}
		m := newKeepModel(framelog.Limits{Frames: 1 + int64(next()), Bytes: 1 + int64(next())<<6, Age: 1 + int32(next())})
		var cursors []framelog.Cursor
		for len(program) > 0 && m.end() < 1<<20 && len(m.ends) < 1000 {
			switch next() % 9 {
			case 0:
				m.add(t, 2+next(), 0)
			case 1:
				m.log.Seal()
			case 2:
				m.drop(t)
			case 3:
				m.now += uint32(next())
				m.expire(t)
			case 4:
				m.restart(uint64(next()))
			case 5:
				if len(cursors) < 4 {
					cursors = append(cursors, m.log.At(int64(m.first+next()%(len(m.ends)-m.first+1))))
				}
			case 6: // a run
				n := next()
				for size := 2 + next(); n > 0; n-- {
					m.add(t, size, 0)
				}
			case 7:
				m.add(t, 2+next()*next(), next())
			case 8:
				if len(cursors) > 0 {
					c := &cursors[next()%len(cursors)]
					b := m.checkChunk(t, c, 1+next()*next())
					c.Advance(len(b) * min(next(), 16) / 16)
					m.checkRest(t, c)
				}
			}
		}
		m.check(t)
		for i := range cursors {
			drainCursor(t, m.model, &cursors[i])
		}
	})
}
