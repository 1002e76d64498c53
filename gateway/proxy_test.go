package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"warren/gateway"
)

// stranger is a loopback address that isn't trusted where only 127.0.0.1 is.
const stranger = "127.0.0.7"

func connectFrom(t *testing.T, n *node, addr string) *rawConn {
	return dialRaw(t, n, net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}})
}

// header is a PROXY header of version 1 or 2 for a client.
func header(t *testing.T, version byte, client string) string {
	t.Helper()
	from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client))
	h := proxyproto.HeaderProxyFromAddrs(version, from, &net.TCPAddr{IP: from.IP, Port: 443})
	return format(t, h)
}

func format(t *testing.T, h *proxyproto.Header) string {
	t.Helper()
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantClient wants the log to name that client, once.
func wantClient(t *testing.T, log *logged, message, client string) {
	t.Helper()
	lines := slices.DeleteFunc(log.take(), func(s string) bool { return !strings.Contains(s, message) })
	if len(lines) != 1 {
		t.Fatalf("logged %q, want one line with %q", lines, message)
	}
	_, rest, _ := strings.Cut(lines[0], " client=")
	got, _, _ := strings.Cut(rest, " ")
	if unquoted, err := strconv.Unquote(got); err == nil {
		got = unquoted
	}
	if got != client {
		t.Errorf("the client is %s, want %s", got, client)
	}
}

// behind is a node that trusts 127.0.0.1 alone.
func behind(t *testing.T, protocol bool, log *logged) *node {
	return start(t, gateway.Options{
		Proxy:  gateway.ProxyOptions{Protocol: protocol, Trusted: []string{"127.0.0.1"}},
		Logger: log.logger(),
		Page: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.RemoteAddr)
		}),
	}, newRecorder())
}

// Who the client is, is what a trusted peer says in its PROXY header, however
// its bytes come; what others say is ignored.
func TestProxyProtocol(t *testing.T) {
	log := &logged{}
	n := behind(t, true, log)
	for _, version := range []byte{1, 2} {
		for _, client := range []string{"203.0.113.9:4711", "[2001:db8::9]:4711"} {
			h := header(t, version, client)
			for how, put := range map[string]func(c *rawConn){
				"at once":           func(c *rawConn) { c.put(h + upgradeHead("/ws/room")) },
				"in two":            func(c *rawConn) { c.drip(h, upgradeHead("/ws/room")) },
				"header torn":       func(c *rawConn) { c.drip(h[:9], h[9:]+upgradeHead("/ws/room")) },
				"both torn":         func(c *rawConn) { c.drip(h[:1], h[1:]+upgradeHead("/ws/room")[:9], upgradeHead("/ws/room")[9:]) },
				"frame behind":      func(c *rawConn) { c.put(h + upgradeHead("/ws/room") + masked(rawFin|rawPing, "x")) },
				"a byte at a time":  func(c *rawConn) { c.drip(strings.Split(h+upgradeHead("/ws/room"), "")...) },
				"from a stranger":   nil,
				"stranger, no head": nil,
			} {
				t.Run(fmt.Sprintf("version %d of %s, %s", version, client, how), func(t *testing.T) {
					want := client
					c := connectFrom(t, n, map[bool]string{true: "127.0.0.1", false: stranger}[put != nil])
					switch how {
					case "from a stranger":
						want = c.LocalAddr().String()
						c.drip(h, upgradeHead("/ws/room"))
					case "stranger, no head":
						want = c.LocalAddr().String()
						c.put(upgradeHead("/ws/room"))
					default:
						put(c)
					}
					c.expectOpen()
					if how == "frame behind" {
						c.expectFrame(rawFin|rawPong, "x")
					}
					wantClient(t, log, "client connected", want)
				})
			}
		}
	}
}

// A header may be longer than the request behind it, and be torn at its end.
func TestProxyLongHeader(t *testing.T) {
	log := &logged{}
	n := behind(t, true, log)
	long := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 4711}, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 443})
	if err := long.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_NOOP, Value: make([]byte, 4000)}}); err != nil {
		t.Fatal(err)
	}
	h := format(t, long)
	last := len(h) - 1
	for name, parts := range map[string][]string{
		"before its last byte":        {h[:last], h[last:] + upgradeHead("/ws/room")},
		"and the request in two, too": {h[:last], h[last:] + upgradeHead("/ws/room")[:9], upgradeHead("/ws/room")[9:]},
	} {
		t.Run(name, func(t *testing.T) {
			c := connectRaw(t, n)
			c.drip(parts...)
			c.expectOpen()
			wantClient(t, log, "client connected", "203.0.113.9:4711")
		})
	}
	if in := n.Stats().Inbound; in != 0 {
		t.Errorf("%d bytes are counted that nobody keeps", in)
	}
}

// A header without a client leaves the socket's address; requests of all kinds
// may follow one.
func TestProxyLocal(t *testing.T) {
	log := &logged{}
	n := behind(t, true, log)
	local := format(t, proxyproto.HeaderProxyFromAddrs(2, nil, nil))
	for name, h := range map[string]string{"LOCAL": local, "UNKNOWN": "PROXY UNKNOWN\r\n"} {
		t.Run(name, func(t *testing.T) {
			c := connectRaw(t, n)
			c.put(h + "GET /readyz HTTP/1.0\r\n\r\n")
			if r, body := c.response(); r.StatusCode != 200 {
				t.Errorf("check: %s %s", r.Status, body)
			}
			c = connectRaw(t, n)
			c.put(h + upgradeHead("/ws/room"))
			c.expectOpen()
			wantClient(t, log, "client connected", c.LocalAddr().String())
		})
	}
	c := connectRaw(t, n)
	c.put(header(t, 2, "203.0.113.9:4711") + plainHead("GET /"))
	if _, body := c.response(); body != "203.0.113.9:4711" {
		t.Errorf("the page is asked for by %s", body)
	}
}

// What isn't a header is refused with the reason, and so is a header where none
// is expected.
func TestProxyRefuses(t *testing.T) {
	log := &logged{}
	n, plain := behind(t, true, log), behind(t, false, log)
	for name, tt := range map[string]struct {
		n      *node
		send   string
		reason string // "": cut without an answer
	}{
		"no header":           {n, upgradeHead("/ws/room"), "no PROXY protocol header"},
		"no header, a P":      {n, "POST / HTTP/1.1\r\n\r\n", "no PROXY protocol header"},
		"no header, TLS":      {n, "\x16\x03\x01", "no PROXY protocol header"},
		"malformed":           {n, "PROXY TCP4 203.0.113.9\r\n", "malformed PROXY protocol header"},
		"endless":             {n, "PROXY " + strings.Repeat("x", 200), "malformed PROXY protocol header"},
		"other version":       {n, "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c", "malformed PROXY protocol header"},
		"none wanted, text":   {plain, header(t, 1, "203.0.113.9:4711") + upgradeHead("/ws/room"), "malformed request line"},
		"none wanted, binary": {plain, header(t, 2, "203.0.113.9:4711") + upgradeHead("/ws/room"), ""},
		"nothing behind it":   {n, header(t, 2, "203.0.113.9:4711") + "\x16\x03\x01", ""},
		"two of them":         {n, header(t, 1, "203.0.113.9:4711") + header(t, 1, "203.0.113.9:4711") + "\r\n", "malformed request line"},
	} {
		t.Run(name, func(t *testing.T) {
			c := connectRaw(t, tt.n)
			c.put(tt.send)
			if tt.reason == "" {
				c.expectCut()
				return
			}
			if _, reason := c.expectRefusal(400); !strings.Contains(reason, tt.reason) {
				t.Errorf("refused: %s", reason)
			}
		})
	}
}

// The fields of requests count if the peer is trusted, and if it is a proxy
// behind a proxy, if the first is.
func TestForwardedFields(t *testing.T) {
	log := &logged{}
	headers, fields := behind(t, true, log), behind(t, false, log)
	for name, tt := range map[string]struct {
		n      *node
		from   string
		before string
		fields []string
		client string // "": the socket's
		tls    bool
	}{
		"trusted":              {fields, "127.0.0.1", "", []string{"X-Forwarded-For: 203.0.113.9"}, "203.0.113.9", false},
		"trusted, by RFC 7239": {fields, "127.0.0.1", "", []string{`Forwarded: for="[2001:db8::9]:80";proto=https`}, "2001:db8::9", true},
		"the last one":         {fields, "127.0.0.1", "", []string{"X-Forwarded-For: 10.9.9.9, 203.0.113.9", "X-Forwarded-For: 127.0.0.1"}, "203.0.113.9", false},
		"over TLS":             {fields, "127.0.0.1", "", []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"}, "203.0.113.9", true},
		"garbage":              {fields, "127.0.0.1", "", []string{"X-Forwarded-For: unknown"}, "", false},
		"contradiction":        {fields, "127.0.0.1", "", []string{"X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.10"}, "", false},
		"forged":               {fields, stranger, "", []string{"X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9", "X-Forwarded-Proto: https"}, "", false},
		"forged behind a proxy": {headers, "127.0.0.1", header(t, 2, "203.0.113.8:80"),
			[]string{"X-Forwarded-For: 203.0.113.9"}, "203.0.113.8:80", false},
		"forged by nobody known": {headers, "127.0.0.1", "PROXY UNKNOWN\r\n", []string{"X-Forwarded-For: 203.0.113.9"}, "", false},
		"proxy behind a proxy": {headers, "127.0.0.1", header(t, 2, "127.0.0.1:80"),
			[]string{"X-Forwarded-For: 203.0.113.9"}, "203.0.113.9", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := connectFrom(t, tt.n, tt.from)
			c.put(tt.before + upgradeHead("/ws/room", tt.fields...))
			c.expectOpen()
			want := tt.client
			if want == "" {
				want = c.LocalAddr().String()
			}
			wantLine := log.take()
			if len(wantLine) != 1 || !strings.Contains(wantLine[0], " tls="+strconv.FormatBool(tt.tls)) {
				t.Errorf("logged %q, want tls %v", wantLine, tt.tls)
			}
			_, _ = fmt.Fprintln(log, strings.Join(wantLine, "\n"))
			wantClient(t, log, "client connected", want)
		})
	}
	if got := fields.Stats().Conflicts; got != 1 {
		t.Errorf("%d contradictions counted", got)
	}
}
