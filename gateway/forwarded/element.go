package forwarded

import (
	"bytes"
	"net/netip"
	"strings"
)

// element is one of the list in Forwarded: what one proxy says (RFC 7239, 4).
type element struct {
	client []byte // for=, nil if it doesn't say
	proto  []byte // proto=, nil if it doesn't say
}

// forNode is the address in for= of an element.
func forNode(b []byte) netip.Addr {
	e, ok := parseElement(b)
	if !ok {
		return netip.Addr{}
	}
	return parseNode(e.client)
}

// cutElement cuts off what is behind the last comma that isn't quoted. It reads
// backwards: the right end is the nearest proxy's, while a client could put a
// quote on the left that swallows all the rest.
func cutElement(b []byte) (rest, elem []byte) {
	quoted := false
	for i := len(b) - 1; i >= 0; i-- {
		switch {
		case b[i] == '"' && !escaped(b[:i]):
			quoted = !quoted
		case b[i] == ',' && !quoted:
			return b[:i], b[i+1:]
		}
	}
	return nil, b
}

// escaped says whether what follows b has a backslash of its own in front.
func escaped(b []byte) bool {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// parseElement reads pairs, name=value, separated by ";". White space around them
// is tolerated. None may be there twice.
func parseElement(b []byte) (e element, ok bool) {
	for {
		b = trim(b)
		if len(b) > 0 && b[0] != ';' {
			name, value, rest, ok := cutPair(b)
			if !ok || !e.set(name, value) {
				return element{}, false
			}
			b = trim(rest)
		}
		switch {
		case len(b) == 0:
			return e, true
		case b[0] != ';':
			return element{}, false
		}
		b = b[1:]
	}
}

// set takes a pair. It is false if the name was there already.
func (e *element) set(name, value []byte) bool {
	var to *[]byte
	switch {
	case equalFold(name, "for"):
		to = &e.client
	case equalFold(name, "proto"):
		to = &e.proto
	default:
		return true
	}
	if *to != nil {
		return false
	}
	*to = value
	return true
}

// cutPair cuts off a token, "=", and a token or a quoted string, whose value is
// never nil.
func cutPair(b []byte) (name, value, rest []byte, ok bool) {
	n := tokenLen(b)
	if n == 0 || n == len(b) || b[n] != '=' {
		return nil, nil, nil, false
	}
	name, b = b[:n], b[n+1:]
	if len(b) > 0 && b[0] == '"' {
		value, rest, ok = cutQuoted(b[1:])
		return name, value, rest, ok
	}
	n = tokenLen(b)
	return name, b[:n], b[n:], n > 0
}

// cutQuoted cuts off a quoted string, whose opening quote is cut already
// (RFC 9110, 5.6.4).
func cutQuoted(b []byte) (value, rest []byte, ok bool) {
	end := bytes.IndexAny(b, `"\`)
	if end >= 0 && b[end] == '"' {
		return b[:end], b[end+1:], true
	}
	// Without its backslashes; hardly anybody sends any.
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return value, b[i+1:], true
		case c == '\\' && i+1 < len(b):
			i++
		}
		value = append(value, b[i])
	}
	return nil, nil, false
}

// tokenLen is how many bytes at the start of b are a token (RFC 9110, 5.6.2).
func tokenLen(b []byte) int {
	n := 0
	for n < len(b) && (isAlnum(b[n]) || strings.IndexByte("!#$%&'*+-.^_`|~", b[n]) >= 0) {
		n++
	}
	return n
}

func isAlnum(c byte) bool { return '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'z' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// equalFold ignores the case of ASCII letters. want is in lower case.
func equalFold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if lower(c) != want[i] {
			return false
		}
	}
	return true
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t") }
