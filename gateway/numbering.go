package gateway

import (
	"time"

	"warren/gateway/framelog"
)

// numbering is what is known of the ids of deliveries.
type numbering struct {
	key    uint64 // random: an id of another process is an unknown one
	own    uint64 // the last offset that was given here
	global bool   // the exchange gives ids, the same on all nodes
	last   uint64 // then the offset of the latest delivery
}

// take notes m's id, or gives it one.
func (n *numbering) take(m *Message) {
	if !m.ID.IsZero() {
		n.global, n.last = true, m.ID.Offset
		return
	}
	n.own++
	m.ID = ID{Offset: n.own, Check: n.check(n.own)}
}

// check is a hash of the key and an offset, never 0. (The mixing is that of
// SplitMix64: Steele, Lea and Flood, OOPSLA 2014.)
func (n *numbering) check(offset uint64) uint32 {
	x := n.key + offset*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return max(uint32(x>>32), 1)
}

// markLocked is what histories know of m. Its time is not in the future, and no
// further in the past than makes a difference.
func (g *Gateway) markLocked(m Message) framelog.Mark {
	now := g.clock()
	if !m.At.IsZero() {
		old := min(max(time.Since(m.At), 0), g.o.History.Age+time.Second)
		now -= uint32(old.Milliseconds())
	}
	return framelog.Mark{Offset: m.ID.Offset, Check: m.ID.Check, At: now}
}
