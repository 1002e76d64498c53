// Package forwarded finds out who a client behind proxies is: from the PROXY
// protocol header that begins a connection, and from the fields X-Forwarded-For,
// Forwarded and X-Forwarded-Proto of a request. It is pure: bytes in, addresses
// out; no I/O.
//
// Anybody can send all of these. Whoever calls asks Trusted about the peer
// first, and believes only those it contains.
package forwarded

import (
	"fmt"
	"net/netip"
)

// Trusted are the addresses of proxies. The zero value contains none.
type Trusted struct {
	prefixes []netip.Prefix // none of them of IPv4-mapped IPv6
}

// ParseTrusted takes addresses and prefixes ("10.1.2.3", "2001:db8::/32"). Bits
// of a prefix beyond its length must be 0, and zones are refused. The error
// names the entry.
func ParseTrusted(list []string) (Trusted, error) {
	t := Trusted{prefixes: make([]netip.Prefix, 0, len(list))}
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil || a.Zone() != "" {
				return Trusted{}, fmt.Errorf("trusted proxy %q: must be an IP address, or a prefix such as 10.0.0.0/8", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p != p.Masked() {
			return Trusted{}, fmt.Errorf("trusted proxy %q: has bits beyond its length; is %s meant, or %s?", s, p.Masked(), p.Addr())
		}
		if p.Addr().Is4In6() { // its length is 96 or more: shorter ones mask the mark away
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
		}
		t.prefixes = append(t.prefixes, p)
	}
	return t, nil
}

// mappedBits come before the IPv4 address in ::ffff:0:0/96 (RFC 4291, 2.5.5.2).
const mappedBits = 96

// Contains says whether a is a trusted proxy. An IPv4 address in IPv6 form, as
// sockets of both families have it, counts as IPv4; a zone is ignored.
func (t Trusted) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range t.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
