package gateway

import (
	"slices"
	"sort"
	"time"
)

// anchors name places between messages so that every node knows them: a client
// that listens to a quiet channel resumes behind a message of another. The check
// of such an id is that of the first message in its block of offsets, which all
// who read the stream from there on agree on.
type anchors struct {
	list   []anchor  // oldest first
	latest time.Time // when the last of them was made
	lost   bool      // messages are missing before the next one
}

// anchor is the first message of a block.
type anchor struct {
	block uint64 // offset / anchorBlock
	check uint32
}

const (
	anchorBlock = 256
	anchorsKept = 1 << 16 // 1 MiB, and 16 million messages
)

// take notes the next message, and last the id of the one before it if follows
// says that there was one. With anew, offsets have begun anew.
func (a *anchors) take(m *Message, last ID, follows, anew bool) {
	id := m.ID
	block := id.Offset / anchorBlock
	if anew {
		a.list = nil
	} else if follows && block == last.Offset/anchorBlock {
		return
	}
	first := follows && !anew && !a.lost || id.Offset%anchorBlock == 0
	a.lost = false
	if !first {
		return
	}
	if len(a.list) >= anchorsKept+anchorsKept/4 {
		a.list = slices.Clone(a.list[len(a.list)-anchorsKept:])
	}
	a.list = append(a.list, anchor{block, id.Check})
	if a.latest = time.Now(); m.Replayed && !m.At.IsZero() {
		a.latest = m.At
	}
}

// lose is called when messages are missing before the next one: it need not be
// the first of its block.
func (a *anchors) lose() { a.lost = true }

// check is that of ids at this offset.
func (a *anchors) check(offset uint64) (check uint32, ok bool) {
	block := offset / anchorBlock
	i := sort.Search(len(a.list), func(i int) bool { return a.list[i].block >= block })
	if i == len(a.list) || a.list[i].block != block {
		return 0, false
	}
	return a.list[i].check, true
}
