package e2e_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"warren/haproxy/haproxytest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// visitor is a WebSocket client that comes from an address of its own.
type visitor struct {
	from    string      // an address of the loopback network
	preface string      // what its connection begins with
	header  http.Header // of its request
}

// door is where visitors come in.
type door struct {
	url  string      // "wss://127.0.0.1:8443"
	tls  *tls.Config // nil for ws://
	node *rigtest.Node
}

// enter connects; the connection is nil if the status isn't 101.
func (v visitor) enter(t *testing.T, to door, path string) (conn *websocket.Conn, status int) {
	t.Helper()
	ctx, cancel := rigtest.Context(t)
	defer cancel()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(v.from)}}
	transport := &http.Transport{
		TLSClientConfig: to.tls,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err == nil {
				_, err = io.WriteString(conn, v.preface)
			}
			return conn, err
		},
	}
	conn, answer, err := websocket.Dial(ctx, to.url+path, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, HTTPHeader: v.header})
	if answer == nil {
		t.Fatalf("%s of %s: %v", path, to.url, err)
	}
	if err != nil {
		return nil, answer.StatusCode
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, answer.StatusCode
}

// seenAs waits for what a node's log says of the client that opened path.
func seenAs(t *testing.T, n *rigtest.Node, path string) (from netip.Addr) {
	t.Helper()
	rigtest.Await(t, func() error {
		for _, line := range n.Log.Lines(`msg="client connected"`) {
			fields := map[string]string{}
			for field := range strings.FieldsSeq(line) {
				name, value, _ := strings.Cut(field, "=")
				fields[name] = value
			}
			if fields["path"] == path {
				at, err := netip.ParseAddrPort(fields["client"])
				if from = at.Addr(); err != nil { // from a header: without a port
					from, err = netip.ParseAddr(fields["client"])
				}
				if err != nil {
					return rig.Never(err)
				}
				return nil
			}
		}
		return errors.New(n.Name + " has logged no client of " + path)
	})
	return from
}

// The client's address is the browser's, whichever way it comes by HAProxy, and
// not what anybody says who isn't a trusted proxy.
func TestClientAddress(t *testing.T) {
	const config = "log: {level: debug}\nclients: {max_per_ip: 2}\nproxy: {trusted: [127.0.0.1], protocol: %v}\n"
	prefaced := rigtest.ReadyNode(t, "prefaced", "", fmt.Sprintf(config, true))
	plain := rigtest.ReadyNode(t, "plain", "", fmt.Sprintf(config, false))
	by := func(form haproxytest.Form, n *rigtest.Node) door {
		p := haproxytest.Run(t, haproxytest.Options{Form: form, Nodes: [2]string{n.Addr(), n.Addr()}})
		return door{strings.TrimSuffix(p.URL("/"), "/"), p.TLS(), n}
	}
	doors := map[string]door{
		"haproxy.cfg":                 by(haproxytest.Production, prefaced),
		"tcp.cfg":                     by(haproxytest.TCP, prefaced),
		"haproxy.cfg, no PROXY":       by(haproxytest.Plain, plain),
		"a node that expects PROXY":   {url: "ws://" + prefaced.Addr(), node: prefaced},
		"a node that expects nothing": {url: "ws://" + plain.Addr(), node: plain},
	}
	const (
		proxy  = "127.0.0.1" // HAProxy's address as the nodes see it
		victim = "192.0.2.1"
		own    = "its own" // an address that no other has
	)
	forged := http.Header{"X-Forwarded-For": {victim}}
	forgedToo := http.Header{"Forwarded": {"for=" + victim}}
	header := "PROXY TCP4 " + victim + " 127.0.0.1 4711 3000\r\n"
	for i, tt := range []struct {
		door   string
		who    visitor
		seenAs string // empty: refused with 400
	}{
		{"haproxy.cfg", visitor{}, own},
		{"haproxy.cfg", visitor{header: forged}, own},
		{"haproxy.cfg", visitor{header: forgedToo}, own},
		{"tcp.cfg", visitor{}, own},
		{"tcp.cfg", visitor{header: forged}, own},
		{"tcp.cfg", visitor{header: forgedToo}, own},
		{"haproxy.cfg, no PROXY", visitor{}, own},
		{"haproxy.cfg, no PROXY", visitor{header: forged}, own},
		{"haproxy.cfg, no PROXY", visitor{header: forgedToo}, own},

		{"a node that expects PROXY", visitor{from: proxy, preface: header}, victim}, // it could lie, and is believed
		{"a node that expects PROXY", visitor{from: proxy}, ""},
		{"a node that expects PROXY", visitor{}, own},
		{"a node that expects PROXY", visitor{preface: header}, own},
		{"a node that expects PROXY", visitor{preface: header, header: forged}, own},
		{"a node that expects PROXY", visitor{header: forgedToo}, own},
		{"a node that expects nothing", visitor{from: proxy}, proxy},
		{"a node that expects nothing", visitor{from: proxy, header: forged}, victim},
		{"a node that expects nothing", visitor{from: proxy, header: forgedToo}, victim},
		{"a node that expects nothing", visitor{header: forged}, own},
		{"a node that expects nothing", visitor{header: forgedToo}, own},
		{"a node that expects nothing", visitor{preface: header}, ""},
		{"a node that expects nothing", visitor{from: proxy, preface: header}, ""},
	} {
		path, want := fmt.Sprint("/ws/", i), tt.seenAs
		if tt.who.from == "" {
			tt.who.from = fmt.Sprint("127.0.7.", i+1)
		}
		if want == own {
			want = tt.who.from
		}
		conn, status := tt.who.enter(t, doors[tt.door], path)
		switch {
		case want == "" && status != http.StatusBadRequest:
			t.Errorf("%s, %+v: status %d, want 400", tt.door, tt.who, status)
		case want != "" && status != http.StatusSwitchingProtocols:
			t.Errorf("%s, %+v: status %d, want 101", tt.door, tt.who, status)
		case want != "":
			if got := seenAs(t, doors[tt.door].node, path); got.String() != want {
				t.Errorf("%s, %+v: seen as %v, want %s", tt.door, tt.who, got, want)
			}
		}
		if conn != nil {
			_ = conn.Close(websocket.StatusNormalClosure, "")
		}
	}

	for i, name := range []string{"haproxy.cfg", "tcp.cfg", "haproxy.cfg, no PROXY"} {
		t.Run(name, func(t *testing.T) {
			wantLimit(t, doors[name], fmt.Sprint("127.0.8.", i+1), fmt.Sprint("127.0.9.", i+1))
		})
	}
}

// wantLimit checks that a node which allows two clients of each address takes two
// of one, and then still one of another.
func wantLimit(t *testing.T, to door, full, beside string) {
	t.Helper()
	var conns []*websocket.Conn
	for i, tt := range []struct {
		from   string
		status int
	}{
		{full, http.StatusSwitchingProtocols},
		{full, http.StatusSwitchingProtocols},
		{full, http.StatusTooManyRequests},
		{beside, http.StatusSwitchingProtocols},
		{full, http.StatusTooManyRequests},
	} {
		conn, status := visitor{from: tt.from}.enter(t, to, "/ws/limit")
		if status != tt.status {
			t.Errorf("client %d, from %s: status %d, want %d", i, tt.from, status, tt.status)
		}
		if conn != nil {
			conns = append(conns, conn)
		}
	}
	for _, conn := range conns {
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}
}
