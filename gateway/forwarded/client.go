package forwarded

import (
	"bytes"
	"iter"
	"net/netip"
)

// Client is the client of a request that came from a trusted peer. xff and fwd
// are the values of its fields X-Forwarded-For and Forwarded, one a line, top to
// bottom; nil if there are none.
//
// Each proxy has added whom it was asked by to the right of what it got. So the
// list is walked from the right, over trusted proxies, to the first address that
// isn't one, or to the last one there is. What is no address ("unknown", a
// pseudonym, garbage) ends the walk, too: the hop before it stands, and that may
// be the peer. Whatever a client sends by itself is further left.
//
// If both fields are there and lead to different addresses, one of them was
// passed on unseen by a proxy that knows only the other. Which, nobody can say:
// conflict is true, and the peer stands.
//
// IPv4 addresses are never in IPv6 form, the peer's included.
func Client(peer netip.Addr, xff, fwd iter.Seq[[]byte], trusted Trusted) (addr netip.Addr, conflict bool) {
	x := walk(xff, trusted, plainList)
	f := walk(fwd, trusted, elements)
	end := x.end
	switch {
	case !x.found:
		end = f.end
	case f.found && f.end != x.end:
		return peer.Unmap(), true
	}
	if !end.IsValid() {
		end = peer.Unmap()
	}
	return end, false
}

// path is what the lines of a field say, as far as they are read.
type path struct {
	found bool       // they have elements
	end   netip.Addr // where a walk from the right ends; invalid: at the peer
}

// form is how a field is written.
type form struct {
	cut func(line []byte) (rest, element []byte) // cuts off the last element
	hop func(element []byte) netip.Addr          // the address in it, or an invalid one
}

var (
	plainList = form{cutAddress, listed}  // X-Forwarded-For
	elements  = form{cutElement, forNode} // Forwarded
)

// walk reads a field.
//
// The walk begins in the last line, but lines come from the first on. So each is
// walked by itself: either the walk ends in it, and lines above don't matter, or
// it goes on where they ended.
func walk(lines iter.Seq[[]byte], trusted Trusted, f form) path {
	if lines == nil {
		return path{}
	}
	p := new(path)
	for line := range lines {
		p.line(line, trusted, f)
	}
	return *p
}

func (p *path) line(line []byte, trusted Trusted, f form) {
	var last netip.Addr
	ended := false
	for len(line) > 0 && !ended {
		var element []byte
		line, element = f.cut(line)
		element = trim(element)
		if len(element) == 0 {
			continue // RFC 9110, 5.6.1.2
		}
		p.found = true
		a := f.hop(element)
		if a.IsValid() {
			last = a
		}
		ended = !trusted.Contains(a)
	}
	if ended || !p.end.IsValid() {
		p.end = last
	}
}

// cutAddress cuts off what is behind the last comma.
func cutAddress(b []byte) (rest, element []byte) {
	comma := bytes.LastIndexByte(b, ',')
	return b[:max(comma, 0)], b[comma+1:]
}

// listed reads an element of X-Forwarded-For, which nobody has specified.
func listed(b []byte) netip.Addr {
	if n := len(b); n >= 2 && b[0] == '"' && b[n-1] == '"' {
		b = b[1 : n-1]
	}
	if bytes.Count(b, []byte{':'}) > 1 && b[0] != '[' {
		return parseAddr(b)
	}
	return parseNode(b)
}
