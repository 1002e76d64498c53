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
	note := note{kind: noteGap, gaps: g.gaps}
	for _, ch := range g.channels {
		ch.gapAt.Store(ch.log.End())
	}
	g.mu.Unlock()
	if g.o.Clients.OnGap == GapClose {
		for _, s := range g.shards {
			s.post(note)
		}
	}
}
