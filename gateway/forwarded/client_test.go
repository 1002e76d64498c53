package forwarded_test

import (
	"iter"
	"net/netip"
	"strings"
	"testing"

	"warren/gateway/forwarded"
)

// lines are the values of a field, one a line of s; nil for "-".
func lines(s string) iter.Seq[[]byte] {
	if s == "-" {
		return nil
	}
	return func(yield func([]byte) bool) {
		for _, l := range strings.Split(s, "\n") {
			if !yield([]byte(l)) {
				return
			}
		}
	}
}

const (
	proxies  = "127.0.0.0/8 ::1/128 10.0.0.0/8 2001:db8:ffff::/48"
	thePeer  = "10.0.0.1"
	conflict = "conflict"
)

// checkClient wants an address, or a conflict.
func checkClient(t *testing.T, xff, fwd, want string) {
	t.Helper()
	got, disagree := forwarded.Client(netip.MustParseAddr(thePeer), lines(xff), lines(fwd), trust(t, proxies))
	if want == conflict {
		if !disagree || got.String() != thePeer {
			t.Errorf("%q, %q: %s, %v; want a conflict", xff, fwd, got, disagree)
		}
		return
	}
	if got.String() != want || disagree {
		t.Errorf("%q, %q: %s, %v; want %s", xff, fwd, got, disagree, want)
	}
}

func TestXForwardedFor(t *testing.T) {
	for _, c := range []struct{ xff, want string }{
		{"-", thePeer},
		{"", thePeer},
		{" , \t,", thePeer},
		{"203.0.113.9", "203.0.113.9"},
		{" \t203.0.113.9\t ", "203.0.113.9"},
		{"2001:db8::9", "2001:db8::9"},
		{"2001:DB8:0:0::9", "2001:db8::9"},
		{"::ffff:203.0.113.9", "203.0.113.9"},
		{"203.0.113.9:80", "203.0.113.9"},
		{"203.0.113.9:65535", "203.0.113.9"},
		{"[2001:db8::9]", "2001:db8::9"},
		{"[2001:db8::9]:80", "2001:db8::9"},
		{"[::ffff:203.0.113.9]:80", "203.0.113.9"},
		{`"203.0.113.9"`, "203.0.113.9"},
		{`"203.0.113.9:80"`, "203.0.113.9"},
		{`"2001:db8::9"`, "2001:db8::9"},
		{`"[2001:db8::9]:80"`, "2001:db8::9"},

		// Over trusted hops, from the right, to the first that isn't.
		{"203.0.113.9, 10.0.0.2", "203.0.113.9"},
		{"203.0.113.9,10.0.0.2,2001:db8:ffff::1 ,127.0.0.1", "203.0.113.9"},
		{"198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"},
		{"198.51.100.1, 203.0.113.9", "203.0.113.9"},
		{"10.0.0.3, 203.0.113.9", "203.0.113.9"},
		{"10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"10.0.0.2:80", "10.0.0.2"},
		{"203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"},
		{"203.0.113.9, , 10.0.0.2, ", "203.0.113.9"},

		// Lines are one list.
		{"198.51.100.1\n203.0.113.9", "203.0.113.9"},
		{"198.51.100.1\n203.0.113.9\n10.0.0.2", "203.0.113.9"},
		{"198.51.100.1, 203.0.113.9\n10.0.0.2, 10.0.0.3\n", "203.0.113.9"},
		{"203.0.113.9\n\n,\n10.0.0.2", "203.0.113.9"},
		{"10.0.0.4\n10.0.0.3\n10.0.0.2", "10.0.0.4"},
		{"203.0.113.9, x, 10.0.0.3\n10.0.0.2", "10.0.0.3"},
		{"203.0.113.9\nx\n10.0.0.2", "10.0.0.2"},
		{"203.0.113.9\n10.0.0.2\nx", thePeer},
		{"x\n10.0.0.3\n10.0.0.2", "10.0.0.3"},
		{"203.0.113.9\nx\n", thePeer},

		// What is no address ends the walk.
		{"unknown", thePeer},
		{"_hidden", thePeer},
		{"203.0.113.9, unknown", thePeer},
		{"203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"},
		{"203.0.113.9, _x, 10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"unknown, 203.0.113.9", "203.0.113.9"},
		{"203.0.113.9, \xff\xfe, 10.0.0.2", "10.0.0.2"},
		{"203.0.113.9, " + strings.Repeat("1", 4000) + ", 10.0.0.2", "10.0.0.2"},
		{`"`, thePeer},
		{`""`, thePeer},
		{`"203.0.113.9`, thePeer},
		{"203.0.113.9;10.0.0.2", thePeer},
		{"203.0.113.9 10.0.0.2", thePeer},
		{"for=203.0.113.9", thePeer},
		{"203.0.113", thePeer},
		{"203.0.113.09", thePeer},
		{"203.0.113.256", thePeer},
		{"203.0.113.9/32", thePeer},
		{"203.0.113.9:", thePeer},
		{"203.0.113.9:http", thePeer},
		{"203.0.113.9:65536", thePeer},
		{"203.0.113.9:000080", thePeer},
		{"203.0.113.9:80:80", thePeer},
		{":80", thePeer},
		{"fe80::1%eth0", thePeer},
		{"[fe80::1%eth0]:80", thePeer},
		{"[203.0.113.9]", thePeer},
		{"[203.0.113.9]:80", thePeer},
		{"[]", thePeer},
		{"[", thePeer},
		{"[2001:db8::9", thePeer},
		{"[2001:db8::9]80", thePeer},
		{"[2001:db8::9]:", thePeer},
		{"[2001:db8::9]:x", thePeer},
		{"[[2001:db8::9]]", thePeer},
		{"2001:db8::9]:80", thePeer},
		{"2001:db8:::9", thePeer},
	} {
		checkClient(t, c.xff, "-", c.want)
	}
}

func TestForwarded(t *testing.T) {
	for _, c := range []struct{ fwd, want string }{
		{"", thePeer},

		// Of RFC 7239: sections 4, 6.3, 7.1 and 7.4.
		{`for="_gazonk"`, thePeer},
		{`For="[2001:db8:cafe::17]:4711"`, "2001:db8:cafe::17"},
		{"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"},
		{"for=192.0.2.43, for=198.51.100.17", "198.51.100.17"},
		{"for=_hidden, for=_SEVKISEK", thePeer},
		{`for=192.0.2.43, for="[2001:db8:cafe::17]"`, "2001:db8:cafe::17"},
		{`for=192.0.2.43, for="[2001:db8:ffff::17]"`, "192.0.2.43"},
		{`for=192.0.2.43,for="[2001:db8:ffff::17]",for=unknown`, thePeer},
		{"for=192.0.2.43\n" + `for="[2001:db8:ffff::17]",for=10.1.1.1`, "192.0.2.43"},
		{`for="192.0.2.43:47011"`, "192.0.2.43"},
		{`for="192.0.2.43:_port.1-2"`, "192.0.2.43"},
		{`for="[2001:db8::9]:_port"`, "2001:db8::9"},
		{`for="[::ffff:192.0.2.43]"`, "192.0.2.43"},
		{`for="192.0.2.43"`, "192.0.2.43"},
		{"FOR=192.0.2.43", "192.0.2.43"},
		{"by=203.0.113.43;for=192.0.2.43;host=example.com;secret=x", "192.0.2.43"},
		{";;for=192.0.2.43;;by=_x;", "192.0.2.43"},
		{" for=192.0.2.43 ; proto=https\t, ,", "192.0.2.43"},

		// Separators, quotes and escapes in quoted strings.
		{`for=192.0.2.43;ext="a,b;c=d, for=198.51.100.1"`, "192.0.2.43"},
		{`ext="a,b;for=198.51.100.1";for=192.0.2.43`, "192.0.2.43"},
		{`for=192.0.2.43;ext="\"", for=10.0.0.2`, "192.0.2.43"},
		{`for=192.0.2.43;ext="\\", for=10.0.0.2`, "192.0.2.43"},
		{`for=192.0.2.43, for=10.0.0.3;ext="\\", for=10.0.0.2`, "192.0.2.43"},
		{`for=192.0.2.43;ext="\\\"\\,\"", for=10.0.0.2`, "192.0.2.43"},
		{`for=192.0.2.43;ext="a\", for=198.51.100.1, \"b"`, "192.0.2.43"},
		{`for=192.0.2.43;ext="",for=10.0.0.2`, "192.0.2.43"},
		{`for="\192.0\.2.43"`, "192.0.2.43"},
		{`for="\[2001:db8::9\]:80"`, "2001:db8::9"},

		// A client's rubbish on the left swallows nothing.
		{`for=", for=192.0.2.43`, "192.0.2.43"},
		{`for=", for="[2001:db8::9]:80"`, "2001:db8::9"},
		{`", for="192.0.2.43";ext=",", for=10.0.0.2`, "192.0.2.43"},
		{`for=198.51.100.1;ext="\, for="192.0.2.43"`, "192.0.2.43"},
		{`for=198.51.100.1;ext="\", for=192.0.2.43`, "192.0.2.43"},
		{`for=198.51.100.1;ext="` + "\n" + `for=192.0.2.43`, "192.0.2.43"},

		// What is no address, or no element, ends the walk.
		{"unknown", thePeer},
		{"for=unknown", thePeer},
		{"for=Unknown, for=10.0.0.2", "10.0.0.2"},
		{"for=192.0.2.43, by=_x, for=10.0.0.2", "10.0.0.2"},
		{"for=192.0.2.43, for=10.0.0.3;for=10.0.0.4, for=10.0.0.2", "10.0.0.2"},
		{"for=192.0.2.43, for=10.0.0.3;proto=http;Proto=http, for=10.0.0.2", "10.0.0.2"},
		{"192.0.2.43", thePeer},
		{"for", thePeer},
		{"for=", thePeer},
		{`for=""`, thePeer},
		{"=192.0.2.43", thePeer},
		{"=x;for=192.0.2.43", thePeer},
		{"for=192.0.2.43;by=", thePeer},
		{"for=192.0.2.43;by", thePeer},
		{"for =192.0.2.43", thePeer},
		{"for= 192.0.2.43", thePeer},
		{"for==192.0.2.43", thePeer},
		{`"for"=192.0.2.43`, thePeer},
		{`for="192.0.2.43`, thePeer},
		{`for="192.0.2.43\"`, thePeer},
		{`for="192.0.2.43\`, thePeer},
		{`for=192.0.2.43"`, thePeer},
		{`for="192.0.2.43"x`, thePeer},
		{`for="192.0.2.43"for=192.0.2.43`, thePeer},
		{"for=192.0.2.43 proto=http", thePeer},
		{"for=192.0.2.43:80", thePeer}, // ":" is for quoted strings
		{"for=[2001:db8::9]", thePeer},
		{`for="2001:db8::9"`, thePeer}, // must be in brackets: its end could be a port
		{`for="2001:db8::9:4711"`, thePeer},
		{`for="192.0.2.43:_"`, thePeer},
		{`for="192.0.2.43:_a b"`, thePeer},
		{`for="[fe80::1%eth0]"`, thePeer},
		{"fo\u212a=192.0.2.43", thePeer},
	} {
		checkClient(t, "-", c.fwd, c.want)
	}
}

func TestBothFields(t *testing.T) {
	for _, c := range []struct{ xff, fwd, want string }{
		{"203.0.113.9", "for=203.0.113.9", "203.0.113.9"},
		{"198.51.100.1, 203.0.113.9", `for="203.0.113.9:80"`, "203.0.113.9"},
		{"203.0.113.9", `for="[::ffff:203.0.113.9]"`, "203.0.113.9"},
		{"203.0.113.9, 10.0.0.2", "for=203.0.113.9, for=127.0.0.1", "203.0.113.9"},
		{"2001:db8::9", `for="[2001:db8:0::9]"`, "2001:db8::9"},
		{"unknown", "for=_x", thePeer},
		{"", "for=203.0.113.9", "203.0.113.9"}, // an empty list says nothing
		{"203.0.113.9", " ,", "203.0.113.9"},

		{"203.0.113.9", "for=203.0.113.10", conflict},
		{"203.0.113.9", "for=unknown", conflict},
		{"x", "for=203.0.113.9", conflict},
		{"203.0.113.9, 10.0.0.2", "for=10.0.0.2", conflict},
		{"203.0.113.9", "x", conflict},
	} {
		checkClient(t, c.xff, c.fwd, c.want)
	}
}

func TestPeer(t *testing.T) {
	peer := netip.MustParseAddr("::ffff:10.0.0.1")
	for _, xff := range []string{"-", "unknown"} {
		if got, _ := forwarded.Client(peer, lines(xff), nil, trust(t, proxies)); got != peer.Unmap() {
			t.Errorf("%q: %s", xff, got)
		}
	}
	if got, _ := forwarded.Client(peer, lines("203.0.113.9"), lines("for=203.0.113.10"), trust(t, proxies)); got != peer.Unmap() {
		t.Errorf("conflict: %s", got)
	}
}

func TestProto(t *testing.T) {
	for _, c := range []struct{ xfp, fwd, want string }{
		{"-", "-", ""},
		{"", "", ""},
		{"http", "-", "http"},
		{"https", "-", "https"},
		{" HTTPS\t", "-", "https"},
		{"wss", "-", "https"},
		{"WS", "-", "http"},
		{"http, https", "-", "https"},
		{"https,http", "-", "http"},
		{"https, , ", "-", "https"},
		{"http\nhttps", "-", "https"},
		{"https\n\n,", "-", "https"},
		{"ftp", "-", ""},
		{"https, ftp", "-", ""},
		{"https http", "-", ""},
		{`"https"`, "-", ""},
		{"http\u017f", "-", ""}, // folds to https in Unicode

		{"-", "for=192.0.2.60;proto=http;by=203.0.113.43", "http"},
		{"-", "PROTO=Https", "https"},
		{"-", `proto="https"`, "https"},
		{"-", "for=_x;proto=wss", "https"},
		{"-", "proto=http, for=_x;proto=https", "https"},
		{"-", "proto=http\nproto=https,\n", "https"},
		{"-", `proto=", for=x;proto="https"`, "https"},
		{"-", "proto=https, for=192.0.2.60", ""},
		{"-", "proto=https, x", ""},
		{"-", "proto=https;proto=https", ""},
		{"-", `proto=""`, ""},
		{"-", `x="proto=https"`, ""},
		{"-", "proto=ftp", ""},

		{"https", "proto=https", "https"},
		{"wss", "proto=https", "https"},
		{"https", "for=192.0.2.60", "https"},
		{"", "proto=https", "https"},
		{"http", "proto=https", ""},
		{"ftp", "proto=https", ""},
		{"https", "proto=ftp", ""},
		{"gopher", "proto=ftp", ""},
	} {
		if got := forwarded.Proto(lines(c.xfp), lines(c.fwd)); got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.xfp, c.fwd, got, c.want)
		}
	}
}
