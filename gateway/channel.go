package gateway

import (
	"strings"
	"sync/atomic"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
	"warren/gateway/framelog"
	"warren/gateway/request"
)

// channel is a name with listeners or a history, and its log. It exists while
// there is either.
type channel struct {
	name string // static

	// gapAt is the end of the log when messages were last missing behind it;
	// -1: never. Any goroutine.
	gapAt atomic.Int64
	gap   atomic.Uint32 // Gateway.gaps with it

	// Guarded by Gateway.mu.
	log       *framelog.Log // its End and Beyond are for any goroutine
	audiences []*audience   // copied on write: see Deliver
	past      *past         // nil without history
}

// Deliver implements Receiver.
//
// It never touches a client. The order of its steps keeps wake-ups from being
// lost: append, then dirty, then queue it, then look whether the shard sleeps;
// a shard stores sleeping, then looks for mail, then polls; and it clears dirty
// before it reads the end of the log.
func (g *Gateway) Deliver(m Message) {
	g.mu.Lock()
	g.ids.take(&m)
	if m.Blank {
		g.mu.Unlock()
		return
	}
	g.count.delivered.Add(1)
	if len(m.Payload) > g.o.WebSocket.MaxDeliverSize {
		g.mu.Unlock()
		g.tooLarge(m)
		return
	}
	var mark framelog.Mark
	if g.histories.keeps() {
		mark = g.markLocked(m)
	}
	named := g.appendLocked(m.Channel, m, mark)
	var root []*audience
	if m.Channel != "" {
		root = g.appendLocked("", m, mark)
	}
	g.mu.Unlock()
	if len(named) == 0 && len(root) == 0 {
		g.count.unheard.Add(1)
	}
	for _, a := range named {
		a.shard.notify(a)
	}
	for _, a := range root {
		a.shard.notify(a)
	}
}

// appendLocked appends m to a channel's log, if it exists or is to be kept, and
// returns who is to be told.
func (g *Gateway) appendLocked(name string, m Message, mark framelog.Mark) []*audience {
	ch := g.channels[name]
	keeps := g.histories.keeps()
	if ch == nil {
		if !keeps || name != "" && !request.ValidChannel(name) {
			return nil
		}
		ch = g.addLocked(strings.Clone(name))
	}
	op := ws.OpBinary
	if m.Text {
		op = ws.OpText
	}
	encode := func(dst []byte) []byte { return frame.Append(dst, op, m.Payload) }
	size := frame.Size(len(m.Payload))
	if keeps {
		if ch.log.AppendMarked(size, mark, encode) {
			g.keepLocked(ch)
		}
	} else {
		ch.log.Append(size, encode)
	}
	for _, a := range ch.audiences {
		if ch.log.End()-a.offered.Load() > g.pressLag && a.pressing.CompareAndSwap(false, true) {
			g.crowd.press()
		}
	}
	return ch.audiences
}

// keepLocked is called when a channel's log keeps more.
func (g *Gateway) keepLocked(ch *channel) {
	g.histories.tally(ch)
	g.histories.expire(ch, g.clock())
	g.removeIdleLocked(ch)
	g.trimLocked()
}

// addLocked makes a channel.
func (g *Gateway) addLocked(name string) *channel {
	ch := &channel{name: name}
	ch.gapAt.Store(-1)
	if h := &g.histories; h.keeps() {
		ch.log, ch.past = framelog.NewKeeping(&h.limits), new(past)
		h.enlist(ch)
	} else {
		ch.log = framelog.New()
	}
	g.channels[name] = ch
	return ch
}

// removeIdleLocked removes a channel that nobody listens to and that keeps
// nothing.
func (g *Gateway) removeIdleLocked(ch *channel) bool {
	keeps := g.histories.keeps()
	if len(ch.audiences) > 0 || keeps && ch.log.Segments() > 0 {
		return false
	}
	delete(g.channels, ch.name)
	if keeps {
		g.histories.strike(ch)
	}
	return true
}

// attach finds or makes the audience of a channel on s, and the place where a
// client begins that asks for what is past.
func (g *Gateway) attach(name []byte, s *shard, from start) (*audience, place) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ch := g.channels[string(name)]
	if ch == nil {
		ch = g.addLocked(string(name))
	}
	at := g.placeLocked(ch, from)
	for _, a := range ch.audiences {
		if a.shard == s {
			return a, at
		}
	}
	if len(ch.audiences) == 0 {
		g.heard++
	}
	a := &audience{channel: ch, shard: s, cursor: ch.log.Cursor()}
	a.offered.Store(ch.log.End())
	a.checked, a.visited = ch.log.End(), ch.log.End()
	ch.audiences = append(ch.audiences[:len(ch.audiences):len(ch.audiences)], a)
	a.index = len(s.audiences)
	s.audiences = append(s.audiences, a)
	return a, at
}

// detach lets go of an audience that has become empty, and of its channel if it
// was the last.
func (g *Gateway) detach(a *audience) {
	g.mu.Lock()
	var rest []*audience
	for _, other := range a.channel.audiences {
		if other != a {
			rest = append(rest, other)
		}
	}
	a.channel.audiences = rest
	if len(rest) == 0 {
		g.heard--
		g.removeIdleLocked(a.channel)
	}
	g.mu.Unlock()
	if a.pressing.CompareAndSwap(true, false) {
		g.crowd.release()
	}
	list := a.shard.audiences
	last := len(list) - 1
	list[a.index] = list[last]
	list[a.index].index = a.index
	list[last] = nil
	a.shard.audiences = list[:last]
}

// seal frees a quiet channel's last segment, once its cursors have moved on.
func (g *Gateway) seal(ch *channel) {
	g.mu.Lock()
	ch.log.Seal()
	if g.histories.keeps() {
		g.histories.tally(ch)
	}
	audiences := ch.audiences
	g.mu.Unlock()
	for _, a := range audiences {
		a.shard.notify(a)
	}
}
