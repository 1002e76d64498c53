package request

import (
	"bytes"
	"fmt"
	"strings"
)

// Origins are those whose pages may connect (RFC 6455, 10.2). The zero value
// allows the page's own host only.
type Origins struct {
	any  bool
	list []origin
}

// origin is scheme://host[:port]. Ports are without leading zeros and empty
// where they are the scheme's default.
type origin struct {
	scheme, host, port []byte
}

// ParseOrigins checks a configured list: "scheme://host[:port]" each, or "*"
// alone for all. The error names the entry and what is allowed.
func ParseOrigins(list []string) (Origins, error) {
	var o Origins
	for _, s := range list {
		if s == "*" {
			if len(list) > 1 {
				return Origins{}, fmt.Errorf(`origin "*" allows all: it must stand alone in the list`)
			}
			o.any = true
			continue
		}
		parsed, ok := splitOrigin([]byte(s))
		if !ok || hint(s) != "" {
			return Origins{}, fmt.Errorf(`origin %q: must be scheme://host or scheme://host:port as browsers send it, or "*" for all%s`, s, hint(s))
		}
		o.list = append(o.list, parsed)
	}
	return o, nil
}

// hint explains the usual mistakes, or is empty.
func hint(s string) string {
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case s == "null":
		return `; any sandboxed page sends "null", so it can't be allowed on its own`
	case !found:
		return `; the scheme is missing`
	case strings.EqualFold(scheme, "ws") || strings.EqualFold(scheme, "wss"):
		return `; it is the page's scheme, http or https, not the WebSocket's`
	case strings.ContainsAny(rest, "/?#"):
		return `; nothing may follow the host and port, not even a slash`
	case strings.Contains(rest, "*"):
		return `; wildcards are not supported`
	case !isASCII(rest):
		return `; international names must be in their xn-- form`
	}
	return ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Allow says whether a page of this origin may connect. origin and host are
// Head.Origin and Head.Host.
//
// No Origin field at all (nil) means that no browser asks: allowed. A page of
// http or https is allowed if its host and port are those it asks for; a port
// that is not given is the default of the page's scheme, so a page of
// https://host passes behind a proxy that ends TLS. Others must be listed. What
// is no origin ("null", several) is foreign.
func (o Origins) Allow(origin, host []byte) bool {
	if origin == nil || o.any {
		return true
	}
	page, ok := splitOrigin(origin)
	if !ok {
		return false
	}
	if equalFold(page.scheme, "http") || equalFold(page.scheme, "https") {
		name, port, ok := splitHost(host)
		if ok && equalFold(page.host, name) && bytes.Equal(page.port, normalPort(page.scheme, port)) {
			return true
		}
	}
	for _, l := range o.list {
		if equalFold(l.host, page.host) && equalFold(l.scheme, page.scheme) && bytes.Equal(l.port, page.port) {
			return true
		}
	}
	return false
}

// splitOrigin takes apart scheme://host[:port] (RFC 6454, 6.1).
func splitOrigin(b []byte) (o origin, ok bool) {
	scheme, authority, found := bytes.Cut(b, []byte("://"))
	if !found || len(scheme) == 0 || !all(scheme, isToken) {
		return origin{}, false
	}
	host, port, ok := splitHost(authority)
	return origin{scheme: scheme, host: host, port: normalPort(scheme, port)}, ok
}

// normalPort is port without leading zeros, and empty for the default.
func normalPort(scheme, port []byte) []byte {
	for len(port) > 0 && port[0] == '0' {
		port = port[1:]
	}
	switch {
	case equalFold(scheme, "http") && string(port) == "80",
		equalFold(scheme, "https") && string(port) == "443":
		return port[:0]
	}
	return port
}
