package gateway

import (
	"github.com/gobwas/ws"

	"warren/gateway/jsonv1"
	"warren/gateway/request"
)

// handshaker answers opening handshakes over memory, with what it needs kept
// between them.
type handshaker struct {
	upgrader ws.Upgrader
	in, out  []byte // left to read; written
}

func (h *handshaker) init(s *shard) {
	h.out = make([]byte, 0, len(s.scratch))
	h.upgrader = ws.Upgrader{
		ReadBufferSize: request.MaxHead, // the longest line
		Header:         ws.HandshakeHeaderString("Server: warren\r\n"),
		Protocol:       func(name []byte) bool { return string(name) == jsonv1.Subprotocol },
	}
}

// Read implements io.Reader for the upgrader: the head and nothing behind it.
func (h *handshaker) Read(p []byte) (int, error) {
	n := copy(p, h.in)
	h.in = h.in[n:]
	return n, nil
}

// Write implements io.Writer for the upgrader.
func (h *handshaker) Write(p []byte) (int, error) {
	h.out = append(h.out, p...)
	return len(p), nil
}

// gapHeader ends an answer to a client that can't be given all that follows the
// message it knows.
const gapHeader = "Warren-Gap: true\r\n\r\n"

// head takes bytes of a request head, or of what may come before it. Once it is
// whole it becomes a WebSocket, a refusal, or a request for the HTTP server.
func (s *shard) head(c *client, b []byte) {
	searched := 0
	if c.in != nil {
		searched = len(c.in.head)
		if !s.charge(c, len(b)) {
			s.refuse(c, request.ErrFull)
			return
		}
		c.in.head = append(c.in.head, b...)
		b = c.in.head
	}
	if c.preface != noPreface {
		var ok bool
		if b, ok = s.prefaced(c, b); !ok {
			return
		}
		searched = 0
	}
	if searched == 0 && !request.Plausible(b[0]) {
		s.g.count.notHTTP.Add(1)
		s.g.debugRefused(c, "not HTTP")
		s.drop(c, endRefused)
		return
	}
	n := request.End(b, searched)
	switch {
	case n > request.MaxHead, n == 0 && len(b) >= request.MaxHead:
		s.refuse(c, request.ErrTooLarge)
		return
	case n == 0:
		s.keepRequest(c, b)
		return
	}
	s.request(c, b, n, false)
}

// keepRequest keeps what came of a request until there is more.
func (s *shard) keepRequest(c *client, b []byte) {
	if c.in != nil {
		return // it is kept
	}
	if !s.charge(c, len(b)) {
		s.refuse(c, request.ErrFull)
		return
	}
	c.in.head = append(c.in.head, b...)
}

// request handles a whole head, b[:n], and what came behind it. waited says that
// it has been here before.
func (s *shard) request(c *client, b []byte, n int, waited bool) {
	head, refusal := request.Parse(b[:n])
	switch {
	case refusal != nil:
		s.refuse(c, refusal)
		return
	case c.trusted && head.Forwarded && !waited:
		s.identify(c, b[:n])
	}
	switch {
	case head.WebSocket:
		s.upgrade(c, head, b, n, waited)
	case s.health(c, head):
	case s.stream(c, head, b, waited):
	default:
		s.handOver(c, head.Path, b)
	}
}

// upgrade makes c a WebSocket of its channel, or refuses, or lets it wait. b[:n]
// is the head; its first frames are behind it.
func (s *shard) upgrade(c *client, head request.Head, b []byte, n int, waited bool) {
	name, where := request.Channel(head.Path, s.g.o.WebSocket.Path)
	q, badQuery := request.ParseQuery(head.Query)
	from, refusal := startOf(q)
	if badQuery == nil {
		badQuery = refusal
	}
	if head.JSON && where == request.Root {
		from = start{} // it subscribes to nothing yet
	}
	switch {
	case where == request.Elsewhere:
		s.refuse(c, request.ErrPath)
		return
	case badQuery == nil && head.JSON && q.Session != nil && !request.ValidSession(q.Session):
		badQuery = request.ErrSession
	}
	if !s.lets(c, head, name, where, from, badQuery, b, waited) {
		return
	}
	h := &s.shake
	h.in, h.out = b[:n], h.out[:0]
	hs, err := h.upgrader.Upgrade(h)
	if err != nil {
		// request.Parse is the stricter one; still, its word is final.
		s.countOut(c)
		s.g.debugRefused(c, err.Error())
		s.answer(c, h.out)
		return
	}
	s.release(c) // b lives on in our hands
	s.g.count.upgraded.Add(1)
	c.state, c.since = open, s.now
	s.g.debugConnected(c, head.Path)
	if hs.Protocol == jsonv1.Subprotocol {
		s.welcome(c, name, where == request.Named, from, string(q.Session))
	} else {
		s.admit(c, name, from)
	}
	if c.state == open && len(b) > n {
		s.input(c, b[n:])
	}
}

// lets counts c as a client, or refuses it, or lets it wait.
func (s *shard) lets(c *client, head request.Head, name []byte, where request.Place, from start, badQuery *request.Error, b []byte, waited bool) bool {
	refusal := badQuery
	switch {
	case where == request.Named && !request.ValidChannel(name):
		refusal = request.ErrChannel
	case !s.g.origins.Allow(head.Origin, head.Host):
		refusal = request.ErrOrigin
	case refusal != nil:
	case s.stopping:
		refusal = request.ErrStopping
	case s.g.drain.is() == Emptying && !s.g.drain.final.Load():
		// In a stop the port is left: what was accepted before is still taken,
		// and sent away in its turn.
		refusal = request.ErrDraining
	case !s.g.reached():
		refusal = request.ErrNotLinked
	case !waited && s.g.future(name, from.since):
		s.await(c, b, from.since.Offset)
		return false
	default:
		refusal = s.countIn(c)
	}
	if refusal != nil {
		s.refuse(c, refusal)
		return false
	}
	return true
}

// admit makes a raw client of c, whose answer is in s.shake.
func (s *shard) admit(c *client, name []byte, from start) {
	h := &s.shake
	// In the log before the 101 leaves: whoever has the 101 misses nothing
	// that is delivered from then on.
	a, at := s.g.attach(name, rawFrames, s, from)
	c.channel = a.edition.channel.name
	if at.missed {
		s.g.count.missed.Add(1)
		h.out = append(h.out[:len(h.out)-len("\r\n")], gapHeader...)
	}
	if from.past {
		s.begin(c, &c.seat, a, at)
		c.out.tail = append(c.out.tail, h.out...)
		s.flush(c)
	} else {
		c.seat.take(c, a, at)
		a.join(&c.seat)
		s.receives(&c.seat, a.active)
		s.send(c, h.out)
	}
}

// welcome makes a client of the JSON protocol of c, whose answer is in s.shake.
func (s *shard) welcome(c *client, name []byte, subscribe bool, from start, secret string) {
	c.enc, c.json = jsonFrames, &session{secret: secret}
	s.tell(c, s.shake.out)
	s.tell(c, s.say(func(b []byte) []byte { return jsonv1.AppendWelcome(b, uint64(c.id), s.g.o.Node, "") }))
	if subscribe {
		s.seat(c, name, from, nil)
	}
}

// refuse answers with an error and closes.
func (s *shard) refuse(c *client, e *request.Error) {
	s.g.count.refused(e.Status)
	s.g.debugRefused(c, e.Error())
	s.answer(c, e.Append(s.scratch[:0]))
}

// answer sends a last HTTP response and closes in order, so that it isn't lost
// to a reset by input that nobody reads.
func (s *shard) answer(c *client, response []byte) {
	s.release(c)
	c.state, c.since = closing, s.now
	c.deaf, c.peerDone = true, true
	c.out = &debt{last: append([]byte(nil), response...)}
	s.flush(c)
}

// debugConnected writes one line a client.
func (g *Gateway) debugConnected(c *client, path []byte) {
	if !g.debug {
		return
	}
	g.log.Debug("client connected", "client", c.who(), "path", string(path), "tls", c.secure, "connection", uint64(c.id))
}

// debugRefused writes one line for whoever looks for the reason.
func (g *Gateway) debugRefused(c *client, why string) {
	if !g.debug {
		return
	}
	g.log.Debug("connection refused", "client", c.who(), "reason", why)
}
