package request_test

import (
	"strings"
	"testing"

	"warren/gateway/request"
)

func TestOriginAllowed(t *testing.T) {
	for _, c := range []struct {
		list         string // space-separated
		origin, host string
		want         bool
	}{
		{"", "http://a.example", "a.example", true},
		{"", "http://A.example", "a.EXAMPLE", true},
		{"", "HTTP://a", "a", true},
		{"", "http://a:3000", "a:3000", true},
		{"", "http://a:80", "a", true},
		{"", "http://a", "a:80", true},
		{"", "http://a", "a:", true},
		{"", "http://a:0080", "a", true},
		{"", "https://a", "a", true}, // a proxy ends TLS
		{"", "https://a", "a:443", true},
		{"", "https://a:443", "a", true},
		{"", "https://a:8443", "a:8443", true},
		{"", "http://[::1]:3000", "[::1]:3000", true},
		{"", "http://[::1]", "[::1]:80", true},
		{"", "http://127.0.0.1:3000", "127.0.0.1:3000", true},

		{"", "", "a", false},
		{"", "null", "a", false},
		{"", "null", "null", false},
		{"", "a", "a", false},
		{"", "http://a", "", false},
		{"", "http://", "", false},
		{"", "http://b", "a", false},
		{"", "http://a.b", "a", false},
		{"", "http://b.a", "a", false},
		{"", "http://a:3000", "a", false},
		{"", "http://a", "a:3000", false},
		{"", "http://a:443", "a", false},
		{"", "http://a", "a:443", false},
		{"", "https://a", "a:80", false},
		{"", "https://a:80", "a", false},
		{"", "http://a/", "a", false},
		{"", "http://a http://b", "a", false},
		{"", "http://a@b", "b", false},
		{"", "http://b#a", "a", false},
		{"", "http://a\x00", "a", false},
		{"", "http://\u212a", "k", false}, // folds to k in Unicode
		{"", "chrome-extension://a", "a", false},
		{"", "ws://a", "a", false},

		{"https://app.example", "https://app.example", "a", true},
		{"https://app.example", "https://APP.example:443", "a", true},
		{"https://app.example:443", "https://app.example", "a", true},
		{"HTTPS://App.Example", "https://app.example", "a", true},
		{"http://x https://app.example:8443", "https://app.example:8443", "a", true},
		{"https://app.example", "http://a", "a", true}, // the own host still
		{"chrome-extension://abc", "chrome-extension://abc", "a", true},
		{"http://[::1]:5173", "http://[::1]:5173", "a", true},
		{"https://app.example", "http://app.example", "a", false},
		{"https://app.example", "https://app.example:8443", "a", false},
		{"https://app.example", "https://x.app.example", "a", false},
		{"https://app.example", "https://app.example.evil", "a", false},
		{"https://app.example", "null", "a", false},
		{"https://app.example", "", "a", false},

		{"*", "http://b", "a", true},
		{"*", "null", "a", true},
		{"*", "", "a", true},
		{"*", "what ever", "", true},
	} {
		o, err := request.ParseOrigins(strings.Fields(c.list))
		if err != nil {
			t.Fatalf("%q: %v", c.list, err)
		}
		if got := o.Allow([]byte(c.origin), []byte(c.host)); got != c.want {
			t.Errorf("list %q, origin %q, host %q: %v", c.list, c.origin, c.host, got)
		}
		if !o.Allow(nil, []byte(c.host)) {
			t.Errorf("list %q: no origin, and refused", c.list)
		}
	}
}

func TestParseOriginsRefuses(t *testing.T) {
	for _, c := range []struct {
		list []string
		why  string
	}{
		{[]string{""}, `origin ""`},
		{[]string{"*", "https://a"}, "must stand alone"},
		{[]string{"https://a", "*"}, "must stand alone"},
		{[]string{"null"}, "sandboxed"},
		{[]string{"a.example"}, "scheme is missing"},
		{[]string{"a.example:443"}, "scheme is missing"},
		{[]string{"ok://fine", "wss://a.example"}, "http or https"},
		{[]string{"https://a.example/"}, "slash"},
		{[]string{"https://a.example/path"}, "slash"},
		{[]string{"https://a.example?x"}, "slash"},
		{[]string{"https://*.example"}, "wildcards"},
		{[]string{"https://bücher.example"}, "xn--"},
		{[]string{"https://"}, "scheme://host"},
		{[]string{"://a"}, "scheme://host"},
		{[]string{"ht tp://a"}, "scheme://host"},
		{[]string{"https://a:b"}, "scheme://host"},
		{[]string{"https://u@a"}, "scheme://host"},
		{[]string{"https://a b"}, "scheme://host"},
		{[]string{"https://::1"}, "scheme://host"},
	} {
		_, err := request.ParseOrigins(c.list)
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%q: got %v, want %q", c.list, err, c.why)
		}
	}
}
