package gateway_test

import (
	"strconv"
	"testing"

	"warren/gateway"
)

// forwardedFor are the fields of a client behind a trusted proxy.
func forwardedFor(addr string) string { return "X-Forwarded-For: " + addr }

// Each address has its clients, of IPv6 each /64, whoever the proxy is.
func TestMaxPerIP(t *testing.T) {
	n := start(t, gateway.Options{
		Proxy:   gateway.ProxyOptions{Trusted: []string{"127.0.0.1"}},
		Clients: gateway.ClientOptions{MaxPerIP: 2},
	}, newRecorder())
	open := func(addr string) *rawConn {
		t.Helper()
		c := connectRaw(t, n)
		c.put(upgradeHead("/ws/room", forwardedFor(addr)))
		c.expectOpen()
		return c
	}
	refused := func(head string) {
		t.Helper()
		c := connectRaw(t, n)
		c.put(head)
		if r, _ := c.expectRefusal(429); r.Header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", r.Header)
		}
	}
	first := open("203.0.113.9")
	open("203.0.113.9")
	refused(upgradeHead("/ws/other", forwardedFor("203.0.113.9")))
	refused(rawHead("GET /sse/room HTTP/1.1", "Host: warren.test", forwardedFor("203.0.113.9")))
	open("203.0.113.10")
	open("2001:db8:0:1::1")
	open("2001:db8:0:1:ffff::1")
	refused(upgradeHead("/ws", forwardedFor("2001:db8:0:1::2")))
	open("2001:db8:0:2::1")
	first.put(masked(rawFin|rawClose, ""))
	first.expectClose(0)
	open("203.0.113.9")
	refused(upgradeHead("/ws", forwardedFor("203.0.113.9")))
	if st := n.Stats(); st.PerAddress != 4 || st.Refused[429] != 4 || st.Clients != 6 {
		t.Errorf("%+v", st)
	}
}

// Beyond the rate, newcomers are told when to come back, each something else;
// checks and clients that are there notice nothing.
func TestHandshakeRate(t *testing.T) {
	const rate = 5
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{HandshakeRate: rate}}, newRecorder())
	var open, refused int
	times := map[string]bool{}
	var there *rawConn
	for range 200 { // takes less than the minute in which all could be let in
		c := connectRaw(t, n)
		c.put(upgradeHead("/ws/room"))
		r, _ := c.response()
		switch r.StatusCode {
		case 101:
			open++
			there = c
		case 503:
			refused++
			times[r.Header.Get("Retry-After")] = true
		default:
			t.Fatal(r.Status)
		}
	}
	if open < rate || refused == 0 || open+refused != 200 {
		t.Errorf("%d let in, %d refused", open, refused)
	}
	for text := range times {
		if s, err := strconv.Atoi(text); err != nil || s < 1 || s > 10 {
			t.Errorf("Retry-After: %q", text)
		}
	}
	if len(times) < 3 {
		t.Errorf("all are to come back after %v", times)
	}
	if st := n.Stats(); st.Crowded != uint64(refused) || st.Clients != int64(open) {
		t.Errorf("%d let in, %d refused: %+v", open, refused, st)
	}
	there.put(masked(rawFin|rawPing, ""))
	there.expectFrame(rawFin|rawPong, "")
	c := connectRaw(t, n)
	c.put(plainHead("GET /readyz"))
	if r, body := c.response(); r.StatusCode != 200 {
		t.Errorf("%s %s", r.Status, body)
	}
}
