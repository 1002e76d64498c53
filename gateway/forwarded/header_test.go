package forwarded_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"warren/gateway/forwarded"
)

// The parts of a binary header (proxy-protocol.txt, 2.2).
const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	local     = "\x20"
	proxy     = "\x21"
	unspec    = "\x00"
	tcp4      = "\x11"
	udp4      = "\x12"
	tcp6      = "\x21"
	udp6      = "\x22"
	unixTCP   = "\x31"
	unixUDP   = "\x32"

	from4 = "\xcb\x00\x71\x09\xc0\x00\x02\x01\xdc\x04\x01\xbb" // 203.0.113.9:56324 to 192.0.2.1:443
)

var (
	from6    = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x09" + strings.Repeat("\x00", 15) + "\x01" + "\xdc\x04\x01\xbb"
	mapped   = mark + from4[:4] + mark + from4[4:8] + from4[8:]
	mark     = strings.Repeat("\x00", 10) + "\xff\xff"
	fromUnix = "/run/a" + strings.Repeat("\x00", 102) + "/run/b" + strings.Repeat("\x00", 102)
)

// v2 is a binary header of the blocks behind its length.
func v2(command, family string, blocks ...string) string {
	rest := strings.Join(blocks, "")
	return signature + command + family + string([]byte{byte(len(rest) >> 8), byte(len(rest))}) + rest
}

// tlv is a type-length-value block.
func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

const (
	alpn = 1 + iota
	authority
	crc32c
	noop
	uniqueID
	ssl        = 0x20
	sslVersion = 0x21
)

var (
	overTLS   = tlv(ssl, "\x01\x00\x00\x00\x00"+tlv(sslVersion, "TLSv1.3"))
	notTLS    = tlv(ssl, "\x00\x00\x00\x00\x01")
	asHAProxy = "\x7f\x00\x00\x01\x7f\x00\x00\x01\xd7\x92\x8e\x0b" +
		"\x03\x00\x04\x04\xeaCd\x02\x00\x0cnode.example\x05\x00\x00" +
		" \x00P\x07\x00\x00\x00\x00!\x00\x07TLSv1.3\"\x00\x0eclient.example%\x00\x07RSA2048" +
		"$\x00\nRSA-SHA256#\x00\x16TLS_AES_256_GCM_SHA384"
)

// good are headers that are accepted, and what they say. An empty source is Local.
var good = []struct {
	name, in, source string
	tls              bool
}{
	{"v1 TCP4", "PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n", "203.0.113.9:56324", false},
	{"v1 TCP4, longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", false},
	{"v1 TCP4, ports 0", "PROXY TCP4 203.0.113.9 192.0.2.1 0 0\r\n", "203.0.113.9:0", false},
	{"v1 TCP6", "PROXY TCP6 2001:db8::9 2001:db8::1 56324 443\r\n", "[2001:db8::9]:56324", false},
	{"v1 TCP6, longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", false},
	{"v1 TCP6, IPv4 mapped", "PROXY TCP6 ::ffff:203.0.113.9 ::1 56324 443\r\n", "203.0.113.9:56324", false},
	{"v1 UNKNOWN, short", "PROXY UNKNOWN\r\n", "", false},
	{"v1 UNKNOWN, longest", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "", false},
	{"v1 UNKNOWN and whatever", "PROXY UNKNOWN \x00\xff TCP4 1.2.3.4\r\n", "", false},

	{"TCP over IPv4", v2(proxy, tcp4, from4), "203.0.113.9:56324", false},
	{"TCP over IPv6", v2(proxy, tcp6, from6), "[2001:db8::9]:56324", false},
	{"TCP over IPv6, IPv4 mapped", v2(proxy, tcp6, mapped), "203.0.113.9:56324", false},
	{"UDP over IPv4", v2(proxy, udp4, from4), "", false},
	{"UDP over IPv6", v2(proxy, udp6, from6), "", false},
	{"UNIX stream", v2(proxy, unixTCP, fromUnix), "", false},
	{"UNIX stream over TLS", v2(proxy, unixTCP, fromUnix, overTLS), "", true},
	{"UNIX datagram", v2(proxy, unixUDP, fromUnix), "", false},
	{"UNSPEC", v2(proxy, unspec), "", false},
	{"UNSPEC and whatever", v2(proxy, unspec, "what \x20\xff ever"), "", false},
	{"LOCAL", v2(local, unspec), "", false},
	{"LOCAL with blocks", v2(local, unspec, tlv(noop, "xx"), overTLS), "", false},
	{"LOCAL with addresses", v2(local, tcp4, from4), "", false},
	{"LOCAL with addresses and rubbish", v2(local, tcp4, from4, "\xff"), "", false},
	{"LOCAL with a family, but no addresses", v2(local, tcp6), "", false},
	{"LOCAL with half an address", v2(local, tcp4, "\x7f\x00"), "", false},

	{"NOOP", v2(proxy, tcp4, from4, tlv(noop, ""), tlv(noop, "\x20\x00\x00")), "203.0.113.9:56324", false},
	{"ALPN, AUTHORITY, UNIQUE_ID", v2(proxy, tcp4, from4, tlv(alpn, "h2"), tlv(authority, "example.com"), tlv(uniqueID, strings.Repeat("x", 128))), "203.0.113.9:56324", false},
	{"a checksum, not compared", v2(proxy, tcp4, from4, tlv(crc32c, "\x00\x00\x00\x00")), "203.0.113.9:56324", false},
	{"unregistered blocks", v2(proxy, tcp6, from6, tlv(0xe0, "a"), tlv(0xea, ""), tlv(0xff, "b")), "[2001:db8::9]:56324", false},
	{"SSL", v2(proxy, tcp6, from6, tlv(noop, "x"), overTLS, tlv(noop, "x")), "[2001:db8::9]:56324", true},
	{"SSL without TLS", v2(proxy, tcp4, from4, notTLS), "203.0.113.9:56324", false},
	{"SSL without a version", v2(proxy, tcp4, from4, tlv(ssl, "\x01\x00\x00\x00\x00")), "203.0.113.9:56324", false},
	{"SSL too short", v2(proxy, tcp4, from4, tlv(ssl, "\x01\x00")), "203.0.113.9:56324", false},
	{"longest", v2(proxy, tcp4, from4, tlv(noop, strings.Repeat("x", forwarded.MaxHeader-16-12-3))), "203.0.113.9:56324", false},

	// As HAProxy 2.6 sends them.
	{"send-proxy", "PROXY TCP4 127.0.0.1 127.0.0.1 43864 39171\r\n", "127.0.0.1:43864", false},
	{"send-proxy for a UNIX socket", "PROXY UNKNOWN\r\n", "", false},
	{"send-proxy-v2, IPv6", v2(proxy, tcp6, strings.Repeat("\x00", 15)+"\x01"+strings.Repeat("\x00", 15)+"\x01\xc9\xb2\x8b\x11"), "[::1]:51634", false},
	{"send-proxy-v2 for a UNIX socket", v2(local, unspec), "", false},
	{"proxy-v2-options unique-id", v2(proxy, tcp4, "\x7f\x00\x00\x01\x7f\x00\x00\x01\xbe\xa2\x94\x1f\x05\x00\b7F000001"), "127.0.0.1:48802", false},
	{"all proxy-v2-options", v2(proxy, tcp4, asHAProxy), "127.0.0.1:55186", true},
}

func TestHeader(t *testing.T) {
	for _, c := range good {
		t.Run(c.name, func(t *testing.T) {
			want := forwarded.Proxy{Local: c.source == "", TLS: c.tls}
			if !want.Local {
				want.Source = netip.MustParseAddrPort(c.source)
			}
			for n := range len(c.in) {
				if h, got, err := forwarded.Header([]byte(c.in[:n])); got != 0 || err != nil || h != (forwarded.Proxy{}) || !forwarded.MayBegin([]byte(c.in[:n])) {
					t.Fatalf("after %d of %d bytes: %+v, %d, %v", n, len(c.in), h, got, err)
				}
			}
			for _, behind := range []string{"", "G", "GET / HTTP/1.1\r\n\r\n", c.in, "\x00\xff"} {
				in := []byte(c.in + behind)
				h, n, err := forwarded.Header(in)
				if err != nil || n != len(c.in) || h != want || !forwarded.MayBegin(in) {
					t.Errorf("with %q behind it: %+v, %d, %v; want %+v, %d", behind, h, n, err, want, len(c.in))
				}
				if string(in) != c.in+behind {
					t.Error("Header changed its input")
				}
			}
		})
	}
}

func TestHeaderRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		at       int // bytes after which it is refused; 0: all of them
		why      string
	}{
		{"a request", "GET / HTTP/1.1\r\n", 1, "no PROXY header"},
		{"POST", "POST / HTTP/1.1\r\n", 2, "no PROXY header"},
		{"PROPFIND", "PROPFIND / HTTP/1.1\r\n", 4, "no PROXY header"},
		{"small letters", "proxy TCP4", 1, "no PROXY header"},
		{"no space", "PROXYTCP4", 6, "no PROXY header"},
		{"TLS", "\x16\x03\x01", 1, "no PROXY header"},
		{"an empty line, then a request", "\r\nGET", 3, "no PROXY header"},
		{"almost the signature", "\r\n\r\n\x00\r\nQUIT\r", 12, "no PROXY header"},

		{"v1 never ends", "PROXY UNKNOWN " + strings.Repeat("x", 93), 107, "no CR LF in the first 107 bytes"},
		{"v1 ends too late", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", 107, "no CR LF in the first 107 bytes"},
		{"v1 ends in LF", "PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\n", 0, "LF without CR"},
		{"v1 ends at once", "PROXY \n", 0, "LF without CR"},
		{"v1 without a family", "PROXY \r\n", 0, "family"},
		{"v1 of an unknown family", "PROXY TCP5 203.0.113.9 192.0.2.1 56324 443\r\n", 0, "family"},
		{"v1 UNKNOWN and more", "PROXY UNKNOWNS\r\n", 0, "family"},
		{"v1 without ports", "PROXY TCP4 203.0.113.9 192.0.2.1\r\n", 0, "not two addresses and two ports"},
		{"v1 with a port too many", "PROXY TCP4 203.0.113.9 192.0.2.1 56324 443 1\r\n", 0, "not two addresses and two ports"},
		{"v1 with two spaces", "PROXY TCP4  203.0.113.9 192.0.2.1 56324 443\r\n", 0, "not two addresses and two ports"},
		{"v1 IPv6 in TCP4", "PROXY TCP4 2001:db8::9 2001:db8::1 56324 443\r\n", 0, "bad address"},
		{"v1 IPv4 in TCP6", "PROXY TCP6 203.0.113.9 192.0.2.1 56324 443\r\n", 0, "bad address"},
		{"v1 leading zero", "PROXY TCP4 203.0.113.09 192.0.2.1 56324 443\r\n", 0, "bad address"},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n", 0, "bad address"},
		{"v1 bad destination", "PROXY TCP4 203.0.113.9 192.0.2 56324 443\r\n", 0, "bad address"},
		{"v1 CR in the middle", "PROXY TCP4 203.0.113.9\r 192.0.2.1 56324 443\r\n", 0, "bad address"},
		{"v1 port over 65535", "PROXY TCP4 203.0.113.9 192.0.2.1 65536 443\r\n", 0, "bad port"},
		{"v1 port with a leading zero", "PROXY TCP4 203.0.113.9 192.0.2.1 56324 0443\r\n", 0, "bad port"},
		{"v1 port of letters", "PROXY TCP4 203.0.113.9 192.0.2.1 http 443\r\n", 0, "bad port"},

		{"version 1 in binary", v2("\x11", tcp4, from4), 13, "version"},
		{"version 3", v2("\x31", tcp4, from4), 13, "version"},
		{"unknown command", v2("\x22", tcp4, from4), 0, "command"},
		{"unknown family", v2(proxy, "\x41", from4), 0, "family"},
		{"unknown protocol", v2(proxy, "\x13", from4), 0, "family"},
		{"family without a protocol", v2(proxy, "\x10", from4), 0, "family"},
		{"LOCAL of an unknown family", v2(local, "\x41", from4), 0, "family"},
		{"no addresses", v2(proxy, tcp4), 0, "shorter than the addresses"},
		{"IPv4 a byte short", v2(proxy, tcp4, from4[:11]), 0, "shorter than the addresses"},
		{"IPv6 with room for IPv4", v2(proxy, tcp6, from4), 0, "shorter than the addresses"},
		{"IPv6 a byte short", v2(proxy, tcp6, from6[:35]), 0, "shorter than the addresses"},
		{"UNIX a byte short", v2(proxy, unixTCP, fromUnix[:215]), 0, "shorter than the addresses"},
		{"too long", v2(proxy, tcp4, from4, strings.Repeat("\x00", 4085)), 16, "over 4096 bytes"},
		{"LOCAL too long", v2(local, unspec, strings.Repeat("\x00", 4097)), 16, "over 4096 bytes"},
		{"UNSPEC too long", v2(proxy, unspec, strings.Repeat("\x00", 1<<16-1)), 16, "over 4096 bytes"},
		{"a block without a length", v2(proxy, tcp4, from4, "\x04\x00"), 0, "malformed values"},
		{"a block of one byte", v2(proxy, tcp4, from4, "\x04"), 0, "malformed values"},
		{"a block a byte short", v2(proxy, tcp4, from4, tlv(authority, "a")[:3]), 0, "malformed values"},
		{"a block over the end", v2(proxy, tcp6, from6, tlv(noop, ""), "\x02\xff\xffexample"), 0, "malformed values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := c.at
			if at == 0 {
				at = len(c.in)
			}
			if _, n, err := forwarded.Header([]byte(c.in[:at-1])); n != 0 || err != nil {
				t.Errorf("after %d bytes: %d, %v", at-1, n, err)
			}
			for _, in := range []string{c.in[:at], c.in, c.in + "GET / HTTP/1.1\r\n\r\n"} {
				h, n, err := forwarded.Header([]byte(in))
				if err == nil || n != 0 || h != (forwarded.Proxy{}) || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%.60q: got %+v, %d, %v, want %q", in, h, n, err, c.why)
				}
				if none := err == forwarded.ErrNoHeader; forwarded.MayBegin([]byte(in)) == none || none != (c.why == "no PROXY header") {
					t.Errorf("%.60q: %v, and MayBegin %v", in, err, !none)
				}
			}
		})
	}
}

// TestMaxHeader: the library's bound is ours, or one of them would be no use.
func TestMaxHeader(t *testing.T) {
	if forwarded.MaxHeader != 16+int(proxyproto.MaxV2HeaderSize) {
		t.Errorf("%d, but the library takes %d behind the first 16", forwarded.MaxHeader, proxyproto.MaxV2HeaderSize)
	}
}

func TestMayBegin(t *testing.T) {
	for c := range 256 {
		want := c == 'P' || c == '\r'
		if got := forwarded.MayBegin([]byte{byte(c)}); got != want {
			t.Errorf("%q: %v", rune(c), got)
		}
	}
	if !forwarded.MayBegin(nil) || !forwarded.MayBegin(bytes.Repeat([]byte(signature), 2)) {
		t.Error("nothing, or a signature, is refused")
	}
}
