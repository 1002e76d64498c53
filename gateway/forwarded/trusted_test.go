package forwarded_test

import (
	"net/netip"
	"strings"
	"testing"

	"warren/gateway/forwarded"
)

// trust parses a space-separated list.
func trust(t testing.TB, list string) forwarded.Trusted {
	t.Helper()
	trusted, err := forwarded.ParseTrusted(strings.Fields(list))
	if err != nil {
		t.Fatal(err)
	}
	return trusted
}

func TestContains(t *testing.T) {
	const list = "127.0.0.0/8 ::1/128 10.1.2.3 2001:db8::/32 fe80::/10 ::ffff:192.0.2.0/120 ::ffff:198.51.100.7"
	for _, c := range []struct {
		list, addr string
		want       bool
	}{
		{list, "127.0.0.1", true},
		{list, "127.255.255.255", true},
		{list, "::ffff:127.0.0.1", true}, // a socket of both families
		{list, "::1", true},
		{list, "10.1.2.3", true},
		{list, "2001:db8:ffff::1", true},
		{list, "fe80::1%eth0", true},
		{list, "192.0.2.255", true},
		{list, "::ffff:192.0.2.255", true},
		{list, "198.51.100.7", true},
		{list, "126.255.255.255", false},
		{list, "128.0.0.0", false},
		{list, "10.1.2.4", false},
		{list, "::2", false},
		{list, "::127.0.0.1", false}, // not the mapped form
		{list, "2001:db9::", false},
		{list, "192.0.3.0", false},
		{list, "198.51.100.8", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "::ffff:203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "203.0.113.9", false},
		{"::/0", "::ffff:203.0.113.9", false},
		{"::ffff:0:0/96", "203.0.113.9", true},
		{"::ffff:0:0/96", "2001:db8::1", false},
		{"", "127.0.0.1", false},
	} {
		if got := trust(t, c.list).Contains(netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%q contains %s: %v", c.list, c.addr, got)
		}
	}
	if trust(t, "0.0.0.0/0 ::/0").Contains(netip.Addr{}) {
		t.Error("no address at all is trusted")
	}
	if (forwarded.Trusted{}).Contains(netip.MustParseAddr("127.0.0.1")) {
		t.Error("the zero value trusts")
	}
}

func TestParseTrustedRefuses(t *testing.T) {
	for _, c := range []struct{ entry, why string }{
		{"", `trusted proxy ""`},
		{"haproxy.example", "must be an IP address"},
		{"10.1.2.3:80", "must be an IP address"},
		{"10.1.2", "must be an IP address"},
		{"10.0.0.0/33", "must be an IP address"},
		{"10.0.0.0/", "must be an IP address"},
		{"fe80::1%eth0", "must be an IP address"},
		{"fe80::%eth0/64", "must be an IP address"},
		{"10.1.2.3/8", "is 10.0.0.0/8 meant, or 10.1.2.3?"},
		{"2001:db8::1/32", "is 2001:db8::/32 meant, or 2001:db8::1?"},
		{"::ffff:10.1.2.3/104", "bits beyond"},
		{"::ffff:10.0.0.0/90", "bits beyond"},
	} {
		_, err := forwarded.ParseTrusted([]string{"127.0.0.1", c.entry})
		if err == nil || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), `"`+c.entry+`"`) {
			t.Errorf("%q: got %v, want %q", c.entry, err, c.why)
		}
	}
}
