package gateway

import "time"

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
	for _, ch := range g.channels {
		ch.missedLocked(g.gaps)
	}
	g.mu.Unlock()
	g.closeForGap()
}

// tooLarge is a gap in m's channel and in root: it isn't delivered.
func (g *Gateway) tooLarge(m Message) {
	g.count.oversize.Add(1)
	g.mu.Lock()
	g.gaps++
	for _, name := range []string{m.Channel, ""} {
		if ch := g.channels[name]; ch != nil {
			ch.missedLocked(g.gaps)
		}
	}
	g.mu.Unlock()
	g.closeForGap()
}

// missedLocked notes that messages are missing behind the end of the log.
func (ch *channel) missedLocked(gap uint32) {
	ch.gapAt.Store(ch.log.End())
	ch.gap.Store(gap)
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
