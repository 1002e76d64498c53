package request

import (
	"bytes"
	"net/netip"
)

// requestLine takes "METHOD TARGET HTTP/1.x" (RFC 9112, 3).
func (p *parser) requestLine(line []byte) *Error {
	sp1 := bytes.IndexByte(line, ' ')
	if sp1 <= 0 {
		return errRequestLine
	}
	sp2 := bytes.IndexByte(line[sp1+1:], ' ')
	if sp2 <= 0 {
		return errRequestLine
	}
	sp2 += sp1 + 1
	method, target, version := line[:sp1], line[sp1+1:sp2], line[sp2+1:]

	const form = "HTTP/1.1"
	switch {
	case !all(method, isToken), len(version) != len(form), string(version[:5]) != form[:5],
		class[version[5]]&isDigit == 0, version[6] != '.', class[version[7]]&isDigit == 0:
		return errRequestLine
	case version[5] != '1':
		return errHTTPVersion
	}
	p.head.Method, p.head.Target = method, target
	p.head.Minor = int(version[7] - '0')
	return p.target(target)
}

// target takes the request target apart (RFC 9112, 3.2).
func (p *parser) target(t []byte) *Error {
	if !all(t, isTarget) {
		if bytes.IndexByte(t, '#') >= 0 {
			return errFragment
		}
		return errTarget
	}
	if len(t) == 1 && t[0] == '*' && string(p.head.Method) == "OPTIONS" {
		p.head.Path = t
		return nil
	}
	path := t
	if t[0] != '/' {
		var err *Error
		if path, err = p.absolute(t); err != nil {
			return err
		}
	}
	if q := bytes.IndexByte(path, '?'); q >= 0 {
		path, p.head.Query = path[:q], path[q+1:]
	}
	p.head.Path = path
	return checkEscapes(path)
}

// absolute takes the authority of "http://authority/path" for the host and
// returns the rest, which may be empty.
func (p *parser) absolute(t []byte) (path []byte, err *Error) {
	sep := bytes.Index(t, []byte("://"))
	if sep < 0 || !equalFold(t[:sep], "http") && !equalFold(t[:sep], "https") {
		return nil, errTarget
	}
	authority := t[sep+len("://"):]
	if end := bytes.IndexAny(authority, "/?"); end >= 0 {
		authority, path = authority[:end], authority[end:]
	}
	host, _, ok := splitHost(authority)
	if !ok {
		return nil, errTarget
	}
	if host[0] == '[' {
		// net/http would refuse it as a URL.
		if ip, err := netip.ParseAddr(string(host[1 : len(host)-1])); err != nil || ip.Is4() {
			return nil, errTarget
		}
	}
	p.authority = authority
	return path, nil
}

// checkEscapes wants two hex digits behind every "%".
func checkEscapes(path []byte) *Error {
	for {
		i := bytes.IndexByte(path, '%')
		switch {
		case i < 0:
			return nil
		case len(path) < i+3 || !isHex(path[i+1]) || !isHex(path[i+2]):
			return errEscape
		}
		path = path[i+3:]
	}
}

func isHex(c byte) bool {
	c = lowerByte(c)
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}

// splitHost splits host[:port]. An IPv6 host keeps its brackets. The port is
// empty if there is none. ok is false if the host is empty or not well formed.
func splitHost(b []byte) (host, port []byte, ok bool) {
	end := 0
	if len(b) > 0 && b[0] == '[' {
		end = bytes.IndexByte(b, ']')
		if end < 2 || !all(b[1:end], isIPv6) {
			return nil, nil, false
		}
		end++
	} else {
		for end < len(b) && class[b[end]]&isHost != 0 {
			end++
		}
	}
	host = b[:end]
	switch rest := b[end:]; {
	case end == 0:
		return nil, nil, false
	case len(rest) == 0:
		return host, rest, true
	case rest[0] != ':' || len(rest) > len(":65535") || !all(rest[1:], isDigit):
		return nil, nil, false
	default:
		return host, rest[1:], true
	}
}
