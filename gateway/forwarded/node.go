package forwarded

import (
	"bytes"
	"net/netip"
)

// maxAddr is the most bytes an address may have in text.
const maxAddr = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// parseNode reads an IPv4 address, or an IPv6 address in brackets, with or
// without a port (RFC 7239, 6). The result is invalid if it is something else.
func parseNode(b []byte) netip.Addr {
	if len(b) == 0 || b[0] != '[' {
		host, port, found := bytes.Cut(b, []byte{':'})
		if found && !isPort(port) {
			return netip.Addr{}
		}
		return parseAddr(host) // without a colon it is IPv4
	}
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return netip.Addr{}
	}
	host, port := b[1:end], b[end+1:]
	switch {
	case bytes.IndexByte(host, ':') < 0: // IPv4 has no brackets
		return netip.Addr{}
	case len(port) > 0 && (port[0] != ':' || !isPort(port[1:])):
		return netip.Addr{}
	}
	return parseAddr(host)
}

// parseAddr reads an address without brackets. Zones mean nothing on another
// machine, and would let a client have as many addresses as it likes.
func parseAddr(b []byte) netip.Addr {
	if len(b) > maxAddr || bytes.IndexByte(b, '%') >= 0 {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// isPort takes a number, or a pseudonym: "_" and A-Z a-z 0-9 . _ - (RFC 7239, 6.3).
func isPort(b []byte) bool {
	if len(b) > 1 && b[0] == '_' {
		for _, c := range b {
			if !isAlnum(c) && c != '.' && c != '_' && c != '-' {
				return false
			}
		}
		return true
	}
	const most, digits = 1<<16 - 1, 5
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return len(b) > 0 && len(b) <= digits && n <= most
}
