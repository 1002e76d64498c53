package haproxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"warren/haproxy"
	"warren/haproxy/haproxytest"
)

// Tunnels of one address are bounded; others' are not touched.
func TestTunnelsOfAnAddress(t *testing.T) {
	t.Parallel()
	p, _ := start(t, haproxytest.Options{Form: haproxytest.Production, Env: []string{haproxy.EnvTunnels + "=2"}})
	first := openFrom(t, p, "127.0.0.7")
	openFrom(t, p, "127.0.0.7").node()
	_, response, err := dial(t, p, "127.0.0.7")
	if err == nil || response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
		t.Errorf("the third tunnel: %v, %v; want 429 with Retry-After", response, err)
	}
	// The page is no tunnel, and another address has its own count.
	get(t, clientFrom(p, "127.0.0.7"), p.Site("/"), http.StatusOK)
	openFrom(t, p, "127.0.0.8").node()
	first.CloseNow()
	eventually(t, "room for another", func() bool {
		ws, _, err := dial(t, p, "127.0.0.7")
		if err == nil {
			ws.CloseNow()
		}
		return err == nil
	})
}

// New connections of one address, and those it has, are bounded before TLS.
func TestConnectionsOfAnAddress(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		for variable, why := range map[string]string{haproxy.EnvConnRate: "rate", haproxy.EnvConns: "number"} {
			t.Run(why, func(t *testing.T) {
				p, _ := start(t, haproxytest.Options{Form: form, Env: []string{variable + "=2"}})
				for range 2 { // few: a rate is counted over 10 s
					openFrom(t, p, "127.0.0.7").node()
				}
				if _, response, err := dial(t, p, "127.0.0.7"); err == nil || response != nil {
					t.Errorf("the third connection: %v, %v; want none", response, err)
				}
				openFrom(t, p, "127.0.0.8").node()
			})
		}
	})
}

// IPv6 clients are counted by /64, IPv4 clients each by itself.
func TestAddressesCounted(t *testing.T) {
	for listen, keys := range map[string]string{
		"[::1]:0":     `key=(::|::ffff:0\.0\.0\.1) `, // HAProxy 3 takes this one address, of all, for IPv4's 0.0.0.1
		"127.0.0.1:0": `key=::ffff:127\.0\.0\.1 `,
	} {
		t.Run(listen, func(t *testing.T) {
			t.Parallel()
			p, _ := start(t, haproxytest.Options{Form: haproxytest.Production, Listen: listen})
			open(t, p).node()
			for _, table := range []string{"connections", "tunnels"} {
				answer, err := p.Command("show table " + table)
				if err != nil || !regexp.MustCompile(keys).MatchString(answer) || strings.Count(answer, "key=") != 1 {
					t.Errorf("%s has %q, %v; want one entry, %s", table, answer, err, keys)
				}
			}
		})
	}
}

// A head that comes a byte at a time is cut.
func TestSlowHead(t *testing.T) {
	t.Parallel()
	const timeout = "timeout http-request 10s"
	p, nodes := start(t, haproxytest.Options{Form: haproxytest.Production, Edit: func(s string) string {
		if strings.Count(s, timeout) != 1 {
			t.Errorf("haproxy.cfg has no %q", timeout)
		}
		return strings.Replace(s, timeout, "timeout http-request 500ms", 1)
	}})
	conn := connect(t, p)
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		io.WriteString(conn, "GET /ws/room HTTP/1.1\r\nX-Slow: ")
		for range tick.C {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("answer: %v, %v; want 408", response, err)
	}
	conn.Close()
	if n := len(nodes[0].seen()) + len(nodes[1].seen()); n != 0 {
		t.Errorf("%d requests reached the nodes", n)
	}
}

// Prometheus and people have a look, on an address of their own.
func TestMetrics(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		p, _ := start(t, haproxytest.Options{Form: form})
		c := open(t, p)
		c.node()
		client := p.Client()
		if body := get(t, client, "http://"+p.MetricsAddr()+"/metrics", http.StatusOK); !strings.Contains(body, `haproxy_backend_current_sessions{proxy="websocket_servers"} 1`) {
			t.Error("/metrics doesn't count the tunnel")
		}
		if body := get(t, client, "http://"+p.MetricsAddr()+"/stats", http.StatusOK); !strings.Contains(body, "websocket_servers") {
			t.Error("/stats doesn't show the backend")
		}
		// As shipped, on this machine only.
		for _, config := range [][]byte{haproxy.Config, haproxy.TCP} {
			if host, _, _ := net.SplitHostPort(strings.TrimSuffix(defaultOf(t, config, haproxy.EnvMetrics), "}")); !net.ParseIP(host).IsLoopback() {
				t.Errorf("metrics are on %q", host)
			}
		}
	})
}

// defaultOf is what a file has for a variable that isn't set.
func defaultOf(t *testing.T, config []byte, variable string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(config), "${"+variable+"-")
	value, _, closed := strings.Cut(rest, "}")
	if !ok || !closed {
		t.Fatalf("there is no default of %s", variable)
	}
	return value
}
