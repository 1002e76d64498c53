package gateway

import (
	"container/list"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"warren/gateway/framelog"
)

const (
	// channelCost is what a channel costs that is there for its history alone,
	// in bytes: its entry, its log and its places in lists, with slack.
	channelCost = 512

	// pieceCost is what its part in the books costs a segment, in bytes.
	pieceCost = 64

	// forgetIn is the number of ticks in which every history is visited once.
	forgetIn = 50

	// forgetAtOnce is how many are visited, or segments dropped, while
	// deliveries wait.
	forgetAtOnce = 256
)

// histories is the books of what channels keep. All of it is guarded by
// Gateway.mu; bytes may be read by any goroutine.
type histories struct {
	limits framelog.Limits // static; Frames is 0 if nothing is kept
	bytes  atomic.Int64    // what all of it costs
	pieces list.List       // a *channel for each segment kept, in the order they were made
	list   []*channel
	next   int // of list: to be visited

	// Places before this offset have a gap of the exchange behind them. While
	// nothing came behind it, the largest there is.
	regained uint64

	// Of channels that are forgotten, or were not there, messages with offsets
	// up to this one may have been dropped.
	unkept uint64
}

// past is a channel's part of the books.
type past struct {
	pieces  []*list.Element // of histories.pieces, as many as segments in the log
	cost    int64           // counted in histories.bytes
	index   int             // in histories.list
	visited int64           // end of the log when it was visited last
}

// keeps says whether there are histories.
func (h *histories) keeps() bool { return h.limits.Frames > 0 }

func (h *histories) enlist(ch *channel) {
	ch.past.index = len(h.list)
	h.list = append(h.list, ch)
}

func (h *histories) strike(ch *channel) {
	last := len(h.list) - 1
	h.list[ch.past.index] = h.list[last]
	h.list[ch.past.index].past.index = ch.past.index
	h.list[last] = nil
	h.list = h.list[:last]
}

// tally brings the books up to date with what ch's log keeps: at its end
// segments were made, or several became one.
func (h *histories) tally(ch *channel) {
	p := ch.past
	for n := len(p.pieces); n < ch.kept().Segments(); n++ {
		p.pieces = append(p.pieces, h.pieces.PushBack(ch))
	}
	for n := len(p.pieces); n > ch.kept().Segments(); n-- {
		h.pieces.Remove(p.pieces[n-1])
		p.pieces[n-1] = nil
		p.pieces = p.pieces[:n-1]
	}
	if cap(p.pieces) > 2*len(p.pieces) {
		p.pieces = slices.Clone(p.pieces) // most channels are quiet
	}
	cost := int64(0)
	if len(p.pieces) > 0 {
		cost = channelCost + int64(len(ch.name)+len(p.pieces)*pieceCost) + ch.kept().Kept()
	}
	h.bytes.Add(cost - p.cost)
	p.cost = cost
}

// drop lets go of the oldest segment of ch.
func (h *histories) drop(ch *channel) {
	p := ch.past
	ch.kept().Drop()
	h.pieces.Remove(p.pieces[0])
	p.pieces[0] = nil
	p.pieces = p.pieces[1:]
	if len(p.pieces) == 0 {
		p.pieces = nil
	}
	h.tally(ch)
}

// expire lets go of the segments of ch that are beyond its limits.
func (h *histories) expire(ch *channel, now uint32) {
	for ch.kept().Expired(now) {
		h.drop(ch)
	}
}

// trim keeps to memory.logs, as far as histories can help. It returns the bytes
// that are still too many.
func (g *Gateway) trim() (over int64) {
	for more := true; more; {
		g.mu.Lock()
		over, more = g.trimLocked()
		g.mu.Unlock()
	}
	return over
}

// trimLocked lets go of the oldest segments of all until memory.logs is kept to.
// more says that it has not, but could.
func (g *Gateway) trimLocked() (over int64, more bool) {
	h := &g.histories
	for range forgetAtOnce {
		over = g.overLogs()
		oldest := h.pieces.Front()
		if over <= 0 || oldest == nil {
			return over, false
		}
		ch := oldest.Value.(*channel)
		h.drop(ch)
		g.count.trimmed.Add(1)
		g.removeIdleLocked(ch)
	}
	return over, true
}

// overLogs is by how many bytes memory.logs is exceeded.
func (g *Gateway) overLogs() int64 {
	return g.histories.bytes.Load() + g.retained() - g.o.Memory.Logs
}

// forget visits the histories in turn, so that those of quiet channels go, too.
func (g *Gateway) forget(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.forgetSome(forgetIn)
		}
	}
}

// forgetSome visits one part in so many.
func (g *Gateway) forgetSome(parts int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock()
	for i := range len(g.histories.list)/parts + 1 {
		if i%forgetAtOnce == forgetAtOnce-1 {
			g.mu.Unlock() // deliveries first
			g.mu.Lock()
		}
		if g.histories.next >= len(g.histories.list) {
			g.histories.next = 0
			return
		}
		g.visitHistoryLocked(g.histories.list[g.histories.next], now)
	}
}

func (g *Gateway) visitHistoryLocked(ch *channel, now uint32) {
	h := &g.histories
	h.expire(ch, now)
	if g.removeIdleLocked(ch) {
		return // another has its place in the list
	}
	h.next++
	// Where its log has clients, their audiences see to that: see visitAudience.
	if end := ch.kept().End(); len(ch.editions[rawFrames].audiences) == 0 && end == ch.past.visited {
		ch.kept().Seal()
		h.tally(ch)
	} else {
		ch.past.visited = end
	}
}
