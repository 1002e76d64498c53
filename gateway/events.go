package gateway

import (
	"math/rand/v2"
	"net/http"

	"warren/gateway/eventstream"
	"warren/gateway/internal/place"
	"warren/gateway/request"
)

// pathEvents is where root's event stream is; channels' lie below it.
const pathEvents = "/sse"

// Browsers wait so many milliseconds before they come back, each its own time:
// those of a node that ended are not to come all at once.
const (
	retryLeast = 1000
	retryMore  = 4000

	// retryMoved is for those of a node that drains, which spreads them itself.
	retryMoved = 100
)

// stream answers a request for server-sent events (WHATWG HTML, 9.2). It is
// false for other requests.
func (s *shard) stream(c *client, head request.Head, b []byte, waited bool) bool {
	name, where := request.Channel(head.Path, pathEvents)
	if where == request.Elsewhere {
		return false
	}
	if string(head.Method) != http.MethodGet {
		s.refuse(c, request.ErrMethod)
		return true
	}
	q, badQuery := request.ParseQuery(head.Query)
	if len(head.LastEvent) == 0 { // that of a header is newer
		head.LastEvent = q.LastEvent
	}
	if len(head.LastEvent) > 0 {
		q.Since = nil
	}
	from, refusal := startOf(q)
	if badQuery == nil {
		badQuery = refusal
	}
	if len(head.LastEvent) > 0 {
		from.since, from.past = lastEvent(head.LastEvent), true
	}
	if !s.lets(c, head, name, where, from, badQuery, b, waited) {
		return true
	}
	answer := s.appendEventsHead(s.said[:0], head)
	s.release(c) // b lives on in our hands
	s.g.count.streams.Add(1)
	c.state, c.since, c.enc = open, s.now, eventStream
	s.g.debugConnected(c, head.Path)
	c.deaf, c.peerDone = true, true // nothing it sends matters, and no close frame will come
	if err := setUserTimeout(c.sock(), s.g.o.WebSocket.PingInterval+s.g.o.WebSocket.PongTimeout); err != nil {
		s.g.log.Debug("cannot bound how long a connection stays unacknowledged", "err", err)
	}
	// In the log before the answer leaves: see admit.
	a, at := s.g.attach(name, eventStream, s, from)
	if at.missed {
		s.g.count.missed.Add(1)
		since := from.since
		if since == noMessage {
			since = ID{}
		}
		answer = eventstream.AppendGap(answer, place.ID(since), place.ID(at.id))
	}
	answer = eventstream.AppendPlace(answer, at.id.Offset, at.id.Check)
	if from.past {
		s.begin(c, &c.seat, a, at)
		c.out.tail = append(c.out.tail, answer...)
		s.flush(c)
	} else {
		c.seat.take(c, a, at)
		a.join(&c.seat)
		s.receives(&c.seat, a.active)
		s.send(c, answer)
	}
	return true
}

// lastEvent is the id that a browser has seen last. It can't do better than to
// send it: a wrong one is an unknown one, rather than an error.
func lastEvent(text []byte) ID {
	if id, ok := ParseID(text); ok {
		return id
	}
	return noMessage
}

// noMessage is an id that no message has.
var noMessage = ID{Check: 1}

// appendEventsHead appends the response's head and the first event.
func (s *shard) appendEventsHead(b []byte, head request.Head) []byte {
	b = append(b, "HTTP/1.1 200 OK\r\nServer: warren\r\nContent-Type: text/event-stream\r\n"+
		"Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nConnection: close\r\n"...)
	if len(head.Origin) > 0 { // it was allowed
		b = append(b, "Vary: Origin\r\nAccess-Control-Allow-Origin: "...)
		b = append(append(b, head.Origin...), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return eventstream.AppendRetry(b, retryLeast+rand.IntN(retryMore))
}

// lastEvents ends a stream, with a comment that says why.
func lastEvents(reason string) (b []byte) {
	if reason == reasonMove {
		b = eventstream.AppendRetry(b, retryMoved)
	}
	b = append(b, ": "...)
	return append(append(b, reason...), "\n\n"...)
}

// visitEvents keeps an event stream alive, and gives it up when its client takes
// nothing any more. Only its kernel can say that it is there: see setUserTimeout.
func (s *shard) visitEvents(c *client) {
	if c.out != nil && (c.out.starved || c.out.parked) {
		return // it isn't written to
	}
	o := &s.g.o.WebSocket
	interval := millis(o.PingInterval)
	if c.out != nil {
		if int32(s.now-c.out.tookAt) > interval+millis(o.PongTimeout) {
			s.reset(c, endDead)
		}
		return
	}
	early := int32(c.slot%64) * (interval / 4) / 64
	if int32(s.now-c.heard) < interval-early {
		return
	}
	c.heard = s.now // it is written to
	s.g.count.pings.Add(1)
	b := append(s.scratch[:0], eventstream.Comment...)
	if id := s.writtenTo(c); !id.IsZero() {
		b = eventstream.AppendPlace(b, id.Offset, id.Check)
	}
	s.send(c, b)
}
