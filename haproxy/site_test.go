package haproxy_test

import (
	"net/http"
	"strings"
	"testing"

	"warren/haproxy/haproxytest"
	"warren/static"
)

// The page is the site; the nodes' other paths stay inside.
func TestSite(t *testing.T) {
	t.Parallel()
	p, nodes := start(t, haproxytest.Options{Form: haproxytest.Production})
	client := keeper(t, p)
	if body := get(t, client, p.Site("/"), http.StatusOK); !strings.HasSuffix(body, "answers /") {
		t.Errorf("/ is %q", body)
	}
	if body := get(t, client, p.Site("/ws"), http.StatusOK); !strings.HasSuffix(body, "answers /ws") {
		t.Errorf("/ws is %q", body)
	}
	for _, path := range []string{"/readyz", "/healthz", "/metrics", "/debug/pprof/", "/publish/x", "/status", "/drain", "/stats", "/%77s", "//ws"} {
		get(t, p.Client(), p.Site(path), http.StatusNotFound)
	}
	for _, n := range nodes {
		for _, r := range n.seen() {
			if r.URL.Path != "/" && r.URL.Path != "/ws" {
				t.Errorf("%s reached node %s", r.URL, n.name)
			}
		}
	}
}

// The page's own policy stays; where there is none, nothing is allowed.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	p, nodes := start(t, haproxytest.Options{Form: haproxytest.Production})
	want := func(path string, policy func(string) bool) {
		t.Helper()
		header, _ := fetch(t, p.Client(), p.Site(path), http.StatusOK)
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=86400",
		} {
			if got := strings.Join(header.Values(name), ", "); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		if got := header.Values("Content-Security-Policy"); len(got) != 1 || !policy(got[0]) {
			t.Errorf("%s: Content-Security-Policy is %q", path, got)
		}
	}
	for _, path := range []string{"/", "/ws"} {
		want(path, func(s string) bool { return s == "default-src 'none'; frame-ancestors 'none'" })
	}
	for _, n := range nodes {
		n.page = static.Page("/ws")
	}
	for _, path := range []string{"/", "/ws"} {
		want(path, func(s string) bool {
			return strings.Contains(s, "script-src 'sha256-") && strings.Contains(s, "connect-src 'self'")
		})
	}
	// A WebSocket has no use for them.
	_, response, err := dial(t, p, "")
	if err != nil || response.Header.Get("Content-Security-Policy") != "" {
		t.Errorf("the 101 has %v, %v", response, err)
	}
	// HAProxy's own answers insist on https, too.
	header, _ := fetch(t, p.Client(), p.Site("/nothing"), http.StatusNotFound)
	if header.Get("Strict-Transport-Security") == "" {
		t.Error("a 404 doesn't insist on https")
	}
}

// Who comes by http is sent on to https, and told nothing else.
func TestRedirect(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		p, _ := start(t, haproxytest.Options{Form: form})
		r, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+p.RedirectAddr()+"/ws?x=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "chat.example.org"
		response, err := p.Client().Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if to := response.Header.Get("Location"); response.StatusCode != http.StatusMovedPermanently || to != "https://chat.example.org/ws?x=1" {
			t.Errorf("%s to %q", response.Status, to)
		}
		if response.Header.Get("Strict-Transport-Security") != "" {
			t.Error("it insists on https by http (RFC 6797, 7.2)")
		}
	})
}
