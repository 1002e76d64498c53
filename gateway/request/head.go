// Package request checks and classifies the head of an HTTP/1 request before
// anything else sees it. It is pure: bytes in, verdict out; no I/O, and no
// allocation unless the request target is in absolute form with an IPv6 host.
//
// It is stricter than RFC 9112 where leniency would let two parsers read one
// request differently. What RFC 9112 leaves open is decided so:
//
//   - Heads with bare LF, lone CR, control bytes, folded lines or a space
//     before a colon are refused for every request, as are repeated Host,
//     Origin, Content-Length, Transfer-Encoding and Sec-WebSocket-Key.
//   - Targets are "/path?query", "http(s)://host/path?query" (its host then
//     replaces the Host field, RFC 9112, 3.2.2) or "*" for OPTIONS. Fragments,
//     user info and bytes that should have been percent-encoded are refused.
//   - Nothing is percent-decoded.
//   - Whoever asks for "Upgrade: websocket" gets a WebSocket or an error, never
//     a plain answer. Other upgrades (h2c) are ignored, as RFC 9110, 7.8 allows.
package request

import "bytes"

// MaxHead is the most bytes a head may have, its last CRLF CRLF included.
const MaxHead = 8 << 10

// Head is a checked head. Its slices point into the bytes given to Parse. A
// field that was not sent is nil; one sent empty is empty but not nil.
type Head struct {
	Method []byte
	Target []byte // as sent
	Path   []byte // of Target, not decoded; empty for "http://host"
	Query  []byte // of Target, without the "?"; nil if it has none
	Host   []byte // host or host:port; empty or nil only if !WebSocket
	Origin []byte // unchecked; see Origins.Allow
	Key    []byte // Sec-WebSocket-Key; checked if WebSocket

	LastEvent []byte // Last-Event-ID, unchecked

	// JSON says that the subprotocol warren.v1.json is offered.
	JSON bool

	// Forwarded says that there is a field X-Forwarded-For, X-Forwarded-Proto or
	// Forwarded. Anybody may send those, and anything in them: see Values.
	Forwarded bool

	// Minor is the x of HTTP/1.x.
	Minor int

	// WebSocket says that this is a whole and valid opening handshake of
	// version 13 (RFC 6455, 4.2.1). Path and Origin are still to be judged.
	WebSocket bool
}

// Plausible says whether an HTTP request may begin with this byte. If not,
// whoever sends it speaks something else (TLS, say) and would not understand
// an HTTP answer either. Leading empty lines are not tolerated.
func Plausible(first byte) bool { return 'A' <= first && first <= 'Z' }

// End is the length of the head at the start of b, its empty line included,
// or 0 if it is not whole yet. The first from bytes are known not to hold a
// whole head.
//
// A head that ends in bare LFs ends too, so that Parse refuses it at once
// rather than the deadline later.
func End(b []byte, from int) int {
	// The empty line is LF LF or LF CR LF, and all of it but its last byte
	// may have been there before.
	i := min(max(from-2, 0), len(b))
	for {
		lf := bytes.IndexByte(b[i:], '\n')
		if lf < 0 {
			return 0
		}
		i += lf + 1
		switch {
		case i < len(b) && b[i] == '\n':
			return i + 1
		case i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n':
			return i + 2
		}
	}
}

// Parse checks a head that is whole: it ends where End says. The error is nil
// or a refusal; a plain request that passes is not thereby valid in all its
// fields, only safe to hand to a server that checks the rest.
func Parse(b []byte) (Head, *Error) {
	if len(b) > MaxHead {
		return Head{}, ErrTooLarge
	}
	var p parser
	line, rest, err := cutLine(b)
	if err != nil {
		return Head{}, err
	}
	if err := p.requestLine(line); err != nil {
		return Head{}, err
	}
	for {
		if line, rest, err = cutLine(rest); err != nil {
			return Head{}, err
		}
		if len(line) == 0 {
			break
		}
		if err := p.line(line); err != nil {
			return Head{}, err
		}
	}
	if len(rest) != 0 {
		return Head{}, errNotWhole // a mistake of the caller's
	}
	if err := p.finish(); err != nil {
		return Head{}, err
	}
	return p.head, nil
}

// cutLine cuts b behind its first CR LF. The line comes without them and
// holds no LF; other CRs are found by the checks on its bytes.
func cutLine(b []byte) (line, rest []byte, err *Error) {
	lf := bytes.IndexByte(b, '\n')
	switch {
	case lf < 0:
		return nil, nil, errNotWhole
	case lf == 0 || b[lf-1] != '\r':
		return nil, nil, errBareLF
	}
	return b[:lf-1], b[lf+1:], nil
}
