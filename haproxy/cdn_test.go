package haproxy_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"warren/haproxy/haproxytest"
)

// Behind a CDN that says in a header who the client is: as docs/haproxy.md has
// it. The node sees that address, and the limit counts it.
func TestBehindCDN(t *testing.T) {
	t.Parallel()
	p, nodes := start(t, haproxytest.Options{
		Form: haproxytest.Production,
		Env:  []string{"HAPROXY_TUNNELS=1"},
		Edit: func(s string) string {
			const before = "    http-request track-sc1"
			return strings.Replace(s, before, "    http-request set-src req.hdr(CF-Connecting-IP) if { src 127.0.0.7 }\n"+before, 1)
		},
	})
	ask := func(from, client string, status int) {
		t.Helper()
		r, err := http.NewRequestWithContext(within(t), http.MethodGet, p.Site("/ws/room"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{
			"Cf-Connecting-Ip": {client}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		response, err := clientFrom(p, from).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		if response.StatusCode != status {
			t.Errorf("from %s for %s: %s, want %d", from, client, response.Status, status)
		}
	}
	ask("127.0.0.7", "203.0.113.1", http.StatusSwitchingProtocols)
	ask("127.0.0.7", "203.0.113.2", http.StatusSwitchingProtocols)
	ask("127.0.0.7", "203.0.113.2", http.StatusTooManyRequests)
	ask("127.0.0.8", "203.0.113.3", http.StatusSwitchingProtocols)
	seen := map[string]bool{}
	for _, r := range append(nodes[0].seen(), nodes[1].seen()...) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		seen[host] = true
		if forwarded := r.Header.Get("X-Forwarded-For"); forwarded != host {
			t.Errorf("X-Forwarded-For is %q and the PROXY header's address %q", forwarded, host)
		}
	}
	if len(seen) != 3 || !seen["203.0.113.1"] || !seen["203.0.113.2"] || !seen["127.0.0.8"] {
		t.Errorf("the nodes see %v", seen)
	}
}
