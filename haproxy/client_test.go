package haproxy_test

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"

	"warren/haproxy/haproxytest"
)

// What clients say about themselves doesn't reach the nodes; what HAProxy knows
// does.
func TestForwardedFor(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Plain, haproxytest.Production}, func(t *testing.T, form haproxytest.Form) {
		p, nodes := start(t, haproxytest.Options{Form: form})
		for _, path := range []string{"/ws", "/"} {
			r, err := http.NewRequestWithContext(within(t), http.MethodGet, p.Site(path), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, forged := range []string{"X-Forwarded-For", "Forwarded", "X-Forwarded-Proto", "X-Real-IP"} {
				r.Header[forged] = []string{"203.0.113.9", "for=203.0.113.9;proto=gopher"}
			}
			response, err := clientFrom(p, "127.0.0.7").Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		}
		seen := append(nodes[0].seen(), nodes[1].seen()...)
		if len(seen) != 2 {
			t.Fatalf("%d requests arrived", len(seen))
		}
		proto := map[haproxytest.Form]string{haproxytest.Plain: "http", haproxytest.Production: "https"}[form]
		for _, r := range seen {
			for name, want := range map[string]string{
				"X-Forwarded-For": "127.0.0.7", "X-Forwarded-Proto": proto, "Forwarded": "", "X-Real-IP": "",
			} {
				if got := strings.Join(r.Header.Values(name), ", "); got != want {
					t.Errorf("%s: %s is %q, want %q", r.URL.Path, name, got, want)
				}
			}
		}
	})
}

// Version 2 of the PROXY protocol, with the client's address; on checks, LOCAL.
func TestProxyProtocol(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		p, nodes := start(t, haproxytest.Options{Form: form})
		openFrom(t, p, "127.0.0.7").node()
		get(t, clientFrom(p, "127.0.0.8"), p.Site("/"), http.StatusOK)
		var from []string
		for _, r := range append(nodes[0].seen(), nodes[1].seen()...) {
			if r.header.Version != 2 || r.header.Command != proxyproto.PROXY {
				t.Errorf("%s came with %+v", r.URL.Path, r.header)
			}
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			from = append(from, host)
			// In TCP mode it is also what tells of TLS.
			if tls := spokeTLS(t, r.header); tls != (form == haproxytest.TCP) {
				t.Errorf("the header tells of TLS: %v", tls)
			}
		}
		if slices.Sort(from); !slices.Equal(from, []string{"127.0.0.7", "127.0.0.8"}) {
			t.Errorf("the nodes see %v", from)
		}
		for _, n := range nodes {
			n.mu.Lock()
			for _, check := range n.checks {
				if h := check.header; h.Version != 2 || h.Command != proxyproto.LOCAL {
					t.Errorf("a check of node %s came with %+v", n.name, h)
				}
			}
			n.mu.Unlock()
		}
	})
}

func spokeTLS(t *testing.T, h *proxyproto.Header) bool {
	t.Helper()
	tlvs, err := h.TLVs()
	if err != nil {
		t.Fatal(err)
	}
	ssl, ok := tlvparse.FindSSL(tlvs)
	return ok && ssl.ClientSSL()
}

// With the servers that stand in a comment, tunnels to a node come from two
// addresses: twice as many ports.
func TestSourceAddresses(t *testing.T) {
	t.Parallel()
	p, nodes := start(t, haproxytest.Options{Form: haproxytest.Production, Edit: withSources})
	if servers, err := p.Nodes(); err != nil || len(servers) != 4 {
		t.Fatalf("HAProxy has %+v, %v; want four servers", servers, err)
	}
	for range 4 {
		open(t, p).node()
	}
	for _, n := range nodes {
		var sources []string
		for _, r := range n.seen() {
			host, _, _ := net.SplitHostPort(r.socket)
			sources = append(sources, host)
		}
		if slices.Sort(sources); !slices.Equal(sources, []string{"127.0.0.1", "127.0.0.12"}) {
			t.Errorf("node %s was reached from %v", n.name, sources)
		}
	}
}
