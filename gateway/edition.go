package gateway

import (
	"sync/atomic"

	"warren/gateway/framelog"
)

// edition is a channel in one encoding: a log, and those who are written it.
type edition struct {
	channel *channel      // static
	enc     encoding      // static
	log     *framelog.Log // static; its End and Beyond are for any goroutine, the rest guarded by Gateway.mu

	// gapAt is the end of the log when messages were last missing behind it;
	// -1: never. Any goroutine.
	gapAt atomic.Int64

	audiences []*audience // guarded by Gateway.mu; copied on write: see Deliver
}

// editionLocked finds or makes an edition of ch.
func (g *Gateway) editionLocked(ch *channel, enc encoding) *edition {
	if e := ch.editions[enc]; e != nil {
		return e
	}
	e := &edition{channel: ch, enc: enc}
	e.gapAt.Store(-1)
	if enc != rawFrames {
		g.encoders++
	}
	if enc == rawFrames && g.histories.keeps() {
		e.log = framelog.NewKeeping(&g.histories.limits)
	} else {
		e.log = framelog.New()
	}
	ch.editions[enc] = e
	return e
}

// kept is the log that holds the history, which must be kept.
func (ch *channel) kept() *framelog.Log { return ch.editions[rawFrames].log }
