package framelog_test

import (
	"slices"
	"testing"

	"warren/gateway/framelog"
)

// FuzzLog runs a program of appends, seals and reads against the model.
func FuzzLog(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{4, 0, 10, 0, 20, 5, 0, 3, 1, 6, 0, 0, 3, 0, 30, 5, 0, 255, 255})
	f.Add([]byte{4, 2, 255, 255, 0, 1, 0, 1, 0, 1, 5, 0, 0, 3, 6, 0, 1, 3, 4, 2, 1, 0, 5, 1, 9, 9})
	f.Add(append([]byte{4, 2, 255, 100}, slices.Repeat([]byte{1, 255, 0}, 30)...))
	f.Add([]byte{4, 1, 200, 3, 1, 200, 2, 200, 0, 1, 255, 0, 4, 5, 0, 255, 1, 6, 0, 2, 7, 0, 3, 3, 5, 1, 1, 1})
	f.Fuzz(func(t *testing.T, program []byte) {
		p := program
		next := func() int {
			if len(p) == 0 {
				return 0
			}
			b := p[0]
			p = p[1:]
			return int(b)
		}
		m := newModel()
		var cursors []framelog.Cursor
		cursor := func() *framelog.Cursor { return &cursors[next()%len(cursors)] }
		for len(p) > 0 && m.end() < 2<<20 && len(m.ends) < 4000 {
			op := next() % 8
			if len(cursors) == 0 && op > 4 {
				continue
			}
			switch op {
			case 0: // a small frame
				m.append(t, 2+next())
			case 1: // a run of them
				n := next()
				for size := 2 + next(); n > 0; n-- {
					m.append(t, size)
				}
			case 2: // a large one
				m.append(t, 2+(next()+next()<<8)*5)
			case 3:
				m.log.Seal()
			case 4:
				if len(cursors) < 6 {
					cursors = append(cursors, m.log.Cursor())
				}
			case 5: // read all or a part of a chunk
				c := cursor()
				b := m.checkChunk(t, c, 1+next()*next())
				c.Advance(len(b) * min(next(), 16) / 16)
			case 6:
				c := cursor()
				m.checkRest(t, c)
				if len(m.ends) > 0 {
					m.checkFrames(t, c, m.ends[(next()+next()<<8)%len(m.ends)])
				}
			case 7: // leave
				i := next() % len(cursors)
				cursors = slices.Delete(cursors, i, i+1)
			}
		}
		for i := range cursors {
			m.checkFrames(t, &cursors[i], m.end())
			drainCursor(t, m, &cursors[i])
		}
	})
}
