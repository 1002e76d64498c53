package haproxy_test

import (
	"net/http"
	"strings"
	"testing"

	"warren/haproxy/haproxytest"
)

// A node that refuses clients while its checks still succeed, because it is full
// or has just begun to drain, costs nobody a handshake.
func TestRefusalIsRetried(t *testing.T) {
	t.Parallel()
	p, nodes := start(t, haproxytest.Options{Form: haproxytest.Production})
	nodes[0].full.Store(true)
	for range 6 {
		if name := open(t, p).node(); name != "two" {
			t.Errorf("a client went to the full node %s", name)
		}
	}
	get(t, keeper(t, p), p.Site("/sse/room"), http.StatusOK)
	if n := nodes[0].refusals.Load(); n == 0 {
		t.Error("node one was never asked: this shows nothing")
	}
	if state, err := p.Nodes(); err != nil || !state[0].Up {
		t.Errorf("node one, whose checks succeed, is %+v, %v", state[0], err)
	}

	// When all refuse, the last answer is the client's.
	nodes[1].full.Store(true)
	_, response, err := dial(t, p, "")
	if err == nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "7" {
		t.Errorf("with all nodes full: %v, %v; want a node's 503 with its Retry-After", response, err)
	}

	// Only what is safe to repeat.
	before := nodes[0].refusals.Load() + nodes[1].refusals.Load()
	response, err = p.Client().Post(p.Site("/ws/room"), "text/plain", strings.NewReader("hello"))
	if err != nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("POST: %v, %v", response, err)
	}
	response.Body.Close()
	if n := nodes[0].refusals.Load() + nodes[1].refusals.Load() - before; n != 1 {
		t.Errorf("a POST was sent %d times", n)
	}
}

// With no node left HAProxy says itself when to come back.
func TestNoNode(t *testing.T) {
	t.Parallel()
	p, nodes := start(t, haproxytest.Options{Form: haproxytest.Production})
	for i, n := range nodes {
		n.ready.Store(false)
		if err := p.Await(within(t), i+1, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/ws/room", "/"} {
		header, _ := fetch(t, p.Client(), p.Site(path), http.StatusServiceUnavailable)
		if s := header.Get("Retry-After"); len(s) != 1 && s != "10" {
			t.Errorf("%s: Retry-After is %q, want 1 to 10", path, s)
		}
	}
}
