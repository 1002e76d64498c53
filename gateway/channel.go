package gateway

import (
	"github.com/gobwas/ws"

	"warren/gateway/frame"
	"warren/gateway/framelog"
)

// channel is a name with listeners, and their log. It exists while somebody
// listens.
type channel struct {
	name string // static

	// Guarded by Gateway.mu.
	log       *framelog.Log // its End may be read by any goroutine
	audiences []*audience   // copied on write: see Deliver
}

// Deliver implements Receiver.
//
// It never touches a client. The order of its steps keeps wake-ups from being
// lost: append, then dirty, then queue it, then look whether the shard sleeps;
// a shard stores sleeping, then looks for mail, then polls; and it clears dirty
// before it reads the end of the log.
func (g *Gateway) Deliver(m Message) {
	g.count.delivered.Add(1)
	if len(m.Payload) > g.o.WebSocket.MaxDeliverSize {
		g.count.oversize.Add(1)
		return
	}
	g.mu.Lock()
	named := g.appendLocked(m.Channel, m)
	var root []*audience
	if m.Channel != "" {
		root = g.appendLocked("", m)
	}
	g.mu.Unlock()
	if named == nil && root == nil {
		g.count.unheard.Add(1)
	}
	for _, a := range named {
		a.shard.notify(a)
	}
	for _, a := range root {
		a.shard.notify(a)
	}
}

// appendLocked appends m to a channel's log, if it exists, and returns who is to
// be told.
func (g *Gateway) appendLocked(name string, m Message) []*audience {
	ch := g.channels[name]
	if ch == nil {
		return nil
	}
	op := ws.OpBinary
	if m.Text {
		op = ws.OpText
	}
	ch.log.Append(frame.Size(len(m.Payload)), func(dst []byte) []byte {
		return frame.Append(dst, op, m.Payload)
	})
	for _, a := range ch.audiences {
		if ch.log.End()-a.offered.Load() > g.pressLag && a.pressing.CompareAndSwap(false, true) {
			g.crowd.press()
		}
	}
	return ch.audiences
}

// attach finds or makes the audience of a channel on s.
func (g *Gateway) attach(name []byte, s *shard) *audience {
	g.mu.Lock()
	defer g.mu.Unlock()
	ch := g.channels[string(name)]
	if ch == nil {
		ch = &channel{name: string(name), log: framelog.New()}
		g.channels[ch.name] = ch
	}
	for _, a := range ch.audiences {
		if a.shard == s {
			return a
		}
	}
	a := &audience{channel: ch, shard: s, cursor: ch.log.Cursor()}
	a.offered.Store(ch.log.End())
	a.checked, a.visited = ch.log.End(), ch.log.End()
	ch.audiences = append(ch.audiences[:len(ch.audiences):len(ch.audiences)], a)
	a.index = len(s.audiences)
	s.audiences = append(s.audiences, a)
	return a
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
		delete(g.channels, a.channel.name)
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
	audiences := ch.audiences
	g.mu.Unlock()
	for _, a := range audiences {
		a.shard.notify(a)
	}
}
