package gateway

import (
	"math"
	"strings"
	"sync/atomic"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
	"warren/gateway/framelog"
	"warren/gateway/request"
)

// channel is a name with listeners or a history. It exists while there is
// either.
type channel struct {
	name string // static

	gap atomic.Uint32 // Gateway.gaps when messages were last missing; any goroutine

	// Guarded by Gateway.mu.
	editions  [encodings]*edition // those with listeners, and the raw one with a history; else nil
	listeners int                 // audiences
	past      *past               // nil without history
	born      uint64              // offset of the delivery before it was made
	lost      uint64              // offset of the last message that was too large to deliver
}

// Deliver implements Receiver.
//
// It never touches a client. The order of its steps keeps wake-ups from being
// lost: append, then dirty, then queue it, then look whether the shard sleeps;
// a shard stores sleeping, then looks for mail, then polls; and it clears dirty
// before it reads the end of the log.
func (g *Gateway) Deliver(m Message) {
	if m.Client != 0 {
		g.direct(&m)
		return
	}
	g.mu.Lock()
	born := g.ids.reached()
	var before ID
	if len(m.Payload) > g.o.WebSocket.MaxDeliverSize {
		before = g.ids.position()
	}
	if g.ids.take(&m) {
		g.offsetsAnewLocked(m.ID)
		born = 0
	}
	if g.histories.regained == math.MaxUint64 {
		g.histories.regained = m.ID.Offset
	}
	if m.Blank {
		g.mu.Unlock()
		return
	}
	g.count.delivered.Add(1)
	if len(m.Payload) > g.o.WebSocket.MaxDeliverSize {
		heard := g.tooLargeLocked(&m, before)
		g.mu.Unlock()
		notify(heard)
		g.closeForGap()
		return
	}
	var mark framelog.Mark
	if g.histories.keeps() || g.encoders > 0 {
		mark = g.markLocked(&m)
	}
	var told [2 * encodings][]*audience
	heard := g.appendLocked(m.Channel, born, &m, &mark, told[:0])
	if m.Channel != "" {
		heard = g.appendLocked("", born, &m, &mark, heard)
	}
	g.mu.Unlock()
	if len(heard) == 0 {
		g.count.unheard.Add(1)
	}
	notify(heard)
}

// notify tells shards of what was appended.
func notify(heard [][]*audience) {
	for _, audiences := range heard {
		for _, a := range audiences {
			a.shard.notify(a)
		}
	}
}

// offsetsAnewLocked is called when the exchange's offsets begin anew, with id.
func (g *Gateway) offsetsAnewLocked(id ID) {
	g.histories.unkept, g.histories.regained = id.Offset, id.Offset
	if g.histories.keeps() {
		for _, ch := range g.channels {
			ch.kept().Anew()
			ch.born, ch.lost = 0, 0
		}
	}
}

// appendLocked appends m to a channel's logs, if it exists or is to be kept, and
// adds to heard who is to be told. born is the offset of the delivery before.
func (g *Gateway) appendLocked(name string, born uint64, m *Message, mark *framelog.Mark, heard [][]*audience) [][]*audience {
	ch := g.channels[name]
	if ch == nil {
		if !g.histories.keeps() || name != "" && !request.ValidChannel(name) {
			return heard
		}
		ch = g.addLocked(strings.Clone(name), born)
	}
	if name == "" {
		mark.Topic = m.Channel
		if of := g.channels[m.Channel]; of != nil {
			mark.Topic = of.name // not another copy
		}
	}
	for _, e := range ch.editions {
		if e == nil {
			continue
		}
		if e.enc == rawFrames {
			g.appendRawLocked(e, m, mark)
		} else {
			g.appendEncodedLocked(e, m, mark)
		}
		if len(e.audiences) > 0 {
			heard = append(heard, e.audiences)
			g.pressLocked(e)
		}
	}
	return heard
}

// appendRawLocked appends m to a log of raw frames.
func (g *Gateway) appendRawLocked(e *edition, m *Message, mark *framelog.Mark) {
	op := ws.OpBinary
	if m.Text {
		op = ws.OpText
	}
	encode := func(dst []byte) []byte { return frame.Append(dst, op, m.Payload) }
	size := frame.Size(len(m.Payload))
	if !g.histories.keeps() {
		e.log.Append(size, encode)
	} else if e.log.AppendMarked(size, *mark, encode) {
		g.keepLocked(e.channel)
	}
}

// pressLocked holds the source back, if a shard has too much of a log to offer.
func (g *Gateway) pressLocked(e *edition) {
	for _, a := range e.audiences {
		if e.log.End()-a.offered.Load() > g.pressLag && a.pressing.CompareAndSwap(false, true) {
			g.crowd.press()
		}
	}
}

// keepLocked is called when a channel's log keeps more.
func (g *Gateway) keepLocked(ch *channel) {
	segments := len(ch.past.pieces)
	g.histories.tally(ch)
	if len(ch.past.pieces) == segments && g.overLogs() <= 0 {
		return // it was a name: the rest can wait for the next segment
	}
	g.histories.expire(ch, g.clock())
	g.removeIdleLocked(ch)
	g.trimLocked()
}

// addLocked makes a channel, behind the delivery that had the offset born.
func (g *Gateway) addLocked(name string, born uint64) *channel {
	ch := &channel{name: name, born: born}
	if h := &g.histories; h.keeps() {
		ch.past = new(past)
		g.editionLocked(ch, rawFrames)
		h.enlist(ch)
	}
	g.channels[name] = ch
	return ch
}

// removeIdleLocked removes a channel that nobody listens to and that keeps
// nothing.
func (g *Gateway) removeIdleLocked(ch *channel) bool {
	keeps := g.histories.keeps()
	if ch.listeners > 0 || keeps && ch.kept().Segments() > 0 {
		return false
	}
	delete(g.channels, ch.name)
	if keeps {
		if offset, ok := ch.kept().Dropped(); ok {
			g.histories.unkept = max(g.histories.unkept, offset)
		}
		g.histories.strike(ch)
	}
	return true
}

// attach finds or makes the audience of a channel, in one encoding, on s, and
// the place where a client begins that asks for what is past.
func (g *Gateway) attach(name []byte, enc encoding, s *shard, from start) (*audience, beginning) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ch := g.channels[string(name)]
	if ch == nil {
		ch = g.addLocked(string(name), g.ids.reached())
	}
	e := g.editionLocked(ch, enc)
	at := g.placeLocked(e, from)
	for _, a := range e.audiences {
		if a.shard == s {
			return a, at
		}
	}
	if ch.listeners == 0 {
		g.heard++
	}
	ch.listeners++
	a := &audience{edition: e, shard: s, cursor: e.log.Cursor()}
	a.offered.Store(e.log.End())
	a.checked, a.visited = e.log.End(), e.log.End()
	e.audiences = append(e.audiences[:len(e.audiences):len(e.audiences)], a)
	a.index = len(s.audiences)
	s.audiences = append(s.audiences, a)
	return a, at
}

// detach lets go of an audience that has become empty, and of its channel if it
// was the last.
func (g *Gateway) detach(a *audience) {
	e := a.edition
	g.mu.Lock()
	var rest []*audience
	for _, other := range e.audiences {
		if other != a {
			rest = append(rest, other)
		}
	}
	e.audiences = rest
	if len(rest) == 0 && (e.enc != rawFrames || !g.histories.keeps()) {
		e.channel.editions[e.enc] = nil
		if e.enc != rawFrames {
			g.encoders--
		}
	}
	if e.channel.listeners--; e.channel.listeners == 0 {
		g.heard--
		g.removeIdleLocked(e.channel)
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

// seal frees the last segment of a quiet log, once its cursors have moved on.
func (g *Gateway) seal(e *edition) {
	g.mu.Lock()
	e.log.Seal()
	if e.enc == rawFrames && g.histories.keeps() {
		g.histories.tally(e.channel)
	}
	audiences := e.audiences
	g.mu.Unlock()
	for _, a := range audiences {
		a.shard.notify(a)
	}
}
