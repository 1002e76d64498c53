package request

import "bytes"

// field is a header field that matters here; one bit each.
type field uint16

const (
	fieldHost field = 1 << iota
	fieldOrigin
	fieldUpgrade
	fieldConnection
	fieldContentLength
	fieldTransferEncoding
	fieldKey
	fieldVersion
	fieldProtocol
	fieldLastEvent
	fieldForwarded // any of the three
)

// parser collects what the lines say.
type parser struct {
	head      Head
	authority []byte // of an absolute target
	version   []byte // Sec-WebSocket-Version
	seen      field
	up        upgrade
}

// known is 0 for fields that don't matter here.
func known(name []byte) field {
	var (
		f    field
		want string
	)
	switch len(name) {
	case 4:
		f, want = fieldHost, "Host"
	case 6:
		f, want = fieldOrigin, "Origin"
	case 7:
		f, want = fieldUpgrade, "Upgrade"
	case 9:
		f, want = fieldForwarded, "Forwarded"
	case 10:
		f, want = fieldConnection, "Connection"
	case 13:
		f, want = fieldLastEvent, "Last-Event-ID"
	case 14:
		f, want = fieldContentLength, "Content-Length"
	case 15:
		f, want = fieldForwarded, "X-Forwarded-For"
	case 17:
		switch lowerByte(name[0]) {
		case 's':
			f, want = fieldKey, "Sec-WebSocket-Key"
		case 't':
			f, want = fieldTransferEncoding, "Transfer-Encoding"
		default:
			f, want = fieldForwarded, "X-Forwarded-Proto"
		}
	case 21:
		f, want = fieldVersion, "Sec-WebSocket-Version"
	case 22:
		f, want = fieldProtocol, "Sec-WebSocket-Protocol"
	default:
		return 0
	}
	if !equalFold(name, want) {
		return 0
	}
	return f
}

// line takes one field line (RFC 9112, 5).
func (p *parser) line(line []byte) *Error {
	if isBlank(line[0]) {
		return errFolded
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return errFieldName
	}
	name, value := line[:colon], line[colon+1:]
	if len(name) == 0 || !all(name, isToken) {
		if colon > 0 && isBlank(name[colon-1]) {
			return errSpaceBeforeColon
		}
		return errFieldName
	}
	if !all(value, isText) {
		if bytes.IndexByte(value, '\r') >= 0 {
			return errBareCR
		}
		return errControl
	}
	if f := known(name); f != 0 {
		return p.field(f, trim(value))
	}
	return nil
}

// field takes a field that matters.
func (p *parser) field(f field, value []byte) *Error {
	again := p.seen&f != 0
	p.seen |= f
	switch f {
	case fieldHost:
		if again {
			return errHostTwice
		}
		p.head.Host = value
	case fieldOrigin:
		if again {
			return errOriginTwice
		}
		p.head.Origin = value
	case fieldKey:
		if again {
			return errKeyTwice
		}
		p.head.Key = value
	case fieldVersion:
		if again {
			return errVersionTwice
		}
		p.version = value
	case fieldContentLength, fieldTransferEncoding:
		if again {
			return errFraming
		}
	case fieldProtocol:
		p.head.JSON = p.head.JSON || offersJSON(value)
	case fieldLastEvent:
		if again {
			return errLastEventTwice
		}
		p.head.LastEvent = value
	case fieldForwarded:
		p.head.Forwarded = true
	case fieldUpgrade:
		p.up.protocol(value)
	case fieldConnection:
		p.up.connection(value)
	}
	return nil
}

// finish judges the head as a whole.
func (p *parser) finish() *Error {
	// A message of HTTP/1.0 with Transfer-Encoding, or one with both, has no
	// certain length (RFC 9112, 6.1).
	const both = fieldContentLength | fieldTransferEncoding
	if p.seen&both == both || p.seen&fieldTransferEncoding != 0 && p.head.Minor == 0 {
		return errFraming
	}
	// HTTP/1.0 has no Host field, and health checks don't send one.
	if p.seen&fieldHost == 0 && p.head.Minor > 0 {
		return errHostMissing
	}
	// An empty one is right where the target has no authority (RFC 9112, 3.2).
	if len(p.head.Host) > 0 {
		if _, _, ok := splitHost(p.head.Host); !ok {
			return errHost
		}
	}
	if p.authority != nil {
		p.head.Host = p.authority
	}
	if !p.up.websocket {
		return nil
	}
	p.head.WebSocket = true
	return p.checkUpgrade()
}
