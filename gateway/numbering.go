package gateway

import (
	"cmp"
	"slices"
	"time"

	"warren/gateway/framelog"
)

// numbering is what is known of the ids of deliveries.
type numbering struct {
	key     uint64 // random: an id of another process is an unknown one
	own     uint64 // the last offset that was given here
	global  bool   // the exchange gives ids, the same on all nodes
	last    ID     // then that of the latest delivery
	recent  []ID   // the latest, oldest first
	anchors anchors
	young   time.Duration // an anchor as old as that is known to all nodes, also to who begins now
}

// recentKept is how many ids are remembered by themselves: 128 KiB.
const recentKept = 1 << 13

// take notes m's id, or gives it one. anew says that offsets have begun anew.
func (n *numbering) take(m *Message) (anew bool) {
	if m.ID.IsZero() {
		n.own++
		m.ID = ID{Offset: n.own, Check: n.check(n.own)}
		return false
	}
	anew = n.global && m.ID.Offset <= n.last.Offset
	n.anchors.take(m, n.last, n.global, anew)
	if anew {
		n.recent = nil
	}
	if len(n.recent) >= recentKept+recentKept/4 {
		n.recent = slices.Clone(n.recent[len(n.recent)-recentKept:])
	}
	n.recent = append(n.recent, m.ID)
	n.global, n.last = true, m.ID
	return anew
}

// position names the place behind the latest delivery, for clients of any
// channel; zero if there was none.
func (n *numbering) position() ID { return n.at(n.reached()) }

// at names the place behind the delivery that had this offset; zero if it has
// no name.
func (n *numbering) at(offset uint64) ID {
	if !n.global {
		return ID{Offset: offset, Check: n.check(offset)}
	}
	check, ok := n.anchors.check(offset)
	// A node that begins later reads back for a time. Where messages are few
	// it may not meet the block's first; but then it remembers each itself.
	if !ok || time.Since(n.anchors.latest) > n.young {
		if i, ok := n.find(offset); ok {
			return n.recent[i]
		}
	}
	return ID{Offset: offset, Check: check}
}

// find looks for a recent delivery's place in the list.
func (n *numbering) find(offset uint64) (i int, ok bool) {
	return slices.BinarySearchFunc(n.recent, offset, func(id ID, offset uint64) int { return cmp.Compare(id.Offset, offset) })
}

// knows says that id is a position of the past.
func (n *numbering) knows(id ID) bool {
	if !n.global {
		return id.Offset <= n.own && id.Check == n.check(id.Offset)
	}
	if i, ok := n.find(id.Offset); ok && n.recent[i] == id {
		return true
	}
	check, ok := n.anchors.check(id.Offset)
	return ok && check == id.Check && id.Offset <= n.last.Offset
}

// reached is the offset of the latest delivery.
func (n *numbering) reached() uint64 {
	if n.global {
		return n.last.Offset
	}
	return n.own
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
func (g *Gateway) markLocked(m *Message) framelog.Mark {
	t := time.Now()
	now, at := uint32(t.Sub(g.began).Milliseconds()), m.At
	if at.IsZero() {
		at = t
	} else if m.Replayed {
		old := min(max(t.Sub(at), 0), g.o.History.Age+time.Second)
		now -= uint32(old.Milliseconds())
	}
	return framelog.Mark{
		Offset: m.ID.Offset, Check: m.ID.Check, At: now,
		Time: at.UnixMilli(), Name: m.MessageID.Publisher, Seq: m.MessageID.Seq,
	}
}
