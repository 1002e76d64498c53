package gateway

import (
	"math"
	"time"
)

// Gap is messages that were published and can't be delivered any more.
type Gap struct {
	Reason string        // for the log: what happened
	Lasted time.Duration // of the link's absence; 0 if it was there
	Lost   uint64        // messages, if Known
	Known  bool          // Lost is exact for messages of Warren's nodes
}

// Gap implements Receiver. Every channel remembers where it was, for those who
// resume.
func (g *Gateway) Gap(gap Gap) {
	g.count.gaps.Add(1)
	attrs := []any{"reason", gap.Reason}
	if gap.Lasted > 0 {
		attrs = append(attrs, "lasted", gap.Lasted.Round(time.Millisecond))
	}
	if gap.Known {
		attrs = append(attrs, "lost", gap.Lost)
	}
	g.log.Warn("gap: messages are lost to this node's clients", attrs...)
	g.mu.Lock()
	g.gaps++
	from := g.ids.position()
	g.ids.anchors.lose()
	g.histories.unkept = max(g.histories.unkept, g.ids.reached()+1)
	g.histories.regained = math.MaxUint64
	var heard [][]*audience
	for _, ch := range g.channels {
		heard = g.missedLocked(ch, from, heard)
	}
	g.mu.Unlock()
	notify(heard)
	g.closeForGap()
}

// tooLargeLocked is a gap in m's channel and in root: it isn't delivered. Not to
// unlock between its number and the gap: a pong would say that all up to it went
// out.
func (g *Gateway) tooLargeLocked(m *Message, from ID) (heard [][]*audience) {
	g.count.oversize.Add(1)
	g.gaps++
	g.histories.unkept = max(g.histories.unkept, m.ID.Offset)
	for _, name := range []string{m.Channel, ""} {
		if ch := g.channels[name]; ch != nil {
			ch.lost = m.ID.Offset
			heard = g.missedLocked(ch, from, heard)
		}
		if name == "" {
			break
		}
	}
	return heard
}

// missedLocked notes that messages of ch are missing behind the ends of its
// logs, and says so in those that can.
func (g *Gateway) missedLocked(ch *channel, from ID, heard [][]*audience) [][]*audience {
	ch.gap.Store(g.gaps)
	for _, e := range ch.editions {
		if e == nil {
			continue
		}
		e.gapAt.Store(e.log.End())
		if e.enc != rawFrames && len(e.audiences) > 0 {
			g.appendGapLocked(e, from)
			heard = append(heard, e.audiences)
		}
	}
	return heard
}

// closeForGap makes the shards close who was there before a channel's gap.
func (g *Gateway) closeForGap() {
	if g.o.Clients.OnGap != GapClose {
		return
	}
	for _, s := range g.shards {
		s.gap.Store(true)
		s.wake()
	}
}
