package gateway

import (
	"time"

	"warren/gateway/framelog"
)

// numbering is what is known of the ids of deliveries.
type numbering struct {
	key     uint64 // random: an id of another process is an unknown one
	own     uint64 // the last offset that was given here
	global  bool   // the exchange gives ids, the same on all nodes
	last    ID     // then that of the latest delivery
	anchors anchors
}

// take notes m's id, or gives it one. anew says that offsets have begun anew.
func (n *numbering) take(m *Message) (anew bool) {
	if m.ID.IsZero() {
		n.own++
		m.ID = ID{Offset: n.own, Check: n.check(n.own)}
		return false
	}
	anew = n.global && m.ID.Offset <= n.last.Offset
	n.anchors.take(m.ID, n.last, n.global, anew)
	n.global, n.last = true, m.ID
	return anew
}

// position names the place behind the latest delivery, for clients of any
// channel; zero if it has no name.
func (n *numbering) position() ID {
	switch {
	case !n.global:
		return ID{Offset: n.own, Check: n.check(n.own)}
	case n.last.IsZero():
		return ID{}
	}
	if id := n.at(n.last.Offset); !id.IsZero() {
		return id
	}
	return n.last
}

// at names the place behind the delivery that had this offset; zero if it has
// no name.
func (n *numbering) at(offset uint64) ID {
	if !n.global {
		return ID{Offset: offset, Check: n.check(offset)}
	}
	check, _ := n.anchors.check(offset)
	return ID{Offset: offset, Check: check}
}

// knows says that id is a position of the past.
func (n *numbering) knows(id ID) bool {
	if !n.global {
		return id.Offset <= n.own && id.Check == n.check(id.Offset)
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
