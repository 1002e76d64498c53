package gateway

import (
	"net/netip"

	"warren/gateway/forwarded"
	"warren/gateway/request"
)

// preface says what a connection may begin with.
type preface uint8

const (
	noPreface   preface = iota
	mayPreface          // a PROXY header, which counts for nothing
	mustPreface         // a PROXY header
)

// judge decides by c's socket whose word counts about who it is.
func (s *shard) judge(c *client) {
	c.trusted = s.g.trusted.Contains(c.from.Addr())
	switch {
	case !s.g.o.Proxy.Protocol:
	case c.trusted:
		c.preface = mustPreface
	default:
		c.preface = mayPreface
	}
}

// prefaced takes the PROXY header from the bytes that have come of c, which
// are in c.in if it has one, and returns those behind it. It is false if there
// is nothing more to do with them now.
func (s *shard) prefaced(c *client, b []byte) ([]byte, bool) {
	if !forwarded.MayBegin(b) {
		if c.preface == mustPreface {
			s.refuse(c, request.ErrNoPreface)
			return nil, false
		}
		c.preface = noPreface
		return b, true
	}
	h, n, err := forwarded.Header(b)
	switch {
	case err != nil:
		s.g.debugRefused(c, err.Error())
		s.refuse(c, request.ErrPreface)
		return nil, false
	case n == 0:
		s.keepRequest(c, b)
		return nil, false
	}
	if c.preface == mustPreface {
		s.believe(c, h)
	}
	c.preface = noPreface
	b = b[n:]
	if c.in != nil {
		c.in.head = append(c.in.head[:0], b...)
		b = c.in.head
	}
	if len(b) == 0 {
		s.release(c)
		return nil, false
	}
	return b, true
}

// believe takes the word of a trusted proxy for who c is.
func (s *shard) believe(c *client, h forwarded.Proxy) {
	c.secure = h.TLS
	if h.Local {
		// The proxy itself, or somebody it has no address of: whose fields those of
		// the request are, nobody knows.
		c.trusted = false
		return
	}
	c.from = h.Source
	c.trusted = s.g.trusted.Contains(c.from.Addr())
}

// identify looks at what a trusted proxy says of whom it forwards. head is all of
// the request's.
func (s *shard) identify(c *client, head []byte) {
	fields := request.Values(head, "Forwarded")
	addr, conflict := forwarded.Client(c.from.Addr(), request.Values(head, "X-Forwarded-For"), fields, s.g.trusted)
	if conflict {
		s.g.count.conflicts.Add(1)
	}
	if addr != c.from.Addr() {
		c.from = netip.AddrPortFrom(addr, 0)
	}
	if proto := forwarded.Proto(request.Values(head, "X-Forwarded-Proto"), fields); proto != "" {
		c.secure = proto == "https"
	}
}

// who is c as it is printed; the port is not always known.
func (c *client) who() string {
	if c.from.Port() == 0 {
		return c.from.Addr().String()
	}
	return c.from.String()
}
