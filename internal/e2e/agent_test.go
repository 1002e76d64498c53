package e2e_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"warren/haproxy/haproxytest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// HAProxy learns from the nodes' agents how full they are, and that they leave.
func TestAgent(t *testing.T) {
	const capacity = 10
	f := newFront(t, haproxytest.Plain, "", "drain: {delay: 60s, timeout: 120s}\n", capacity) // no drain gets further here
	node, proxy := f.nodes[0], f.proxy
	one := func(what string, is func(haproxytest.Server) bool) {
		t.Helper()
		ctx, cancel := rigtest.Context(t)
		defer cancel()
		rigtest.Check(t, proxy.AwaitServer(ctx, 1, what, is))
	}
	weighs := func(percent int) {
		t.Helper()
		one(fmt.Sprint("of weight ", percent), func(s haproxytest.Server) bool {
			return s.Weight == s.InitialWeight*percent/100 && !s.Draining()
		})
	}
	leaves := func() {
		t.Helper()
		one("draining", func(s haproxytest.Server) bool { return s.Draining() && s.Weight == s.InitialWeight/2 })
	}

	weighs(100)
	there := rigtest.JoinMany(t, node, "/ws/room", capacity/2, rig.ClientOptions{})
	weighs(50)
	more := rigtest.JoinMany(t, node, "/ws/room", capacity/2, rig.ClientOptions{})
	weighs(0)
	for _, c := range more {
		c.Close()
	}
	weighs(50)

	wantDrain(t, node, http.MethodPost, rig.Drain{Status: 202, Phase: "announced", Clients: len(there)})
	leaves()
	wantDrain(t, node, http.MethodDelete, rig.Drain{Status: 200, Phase: "serving", Clients: len(there)})
	weighs(50)
	for _, c := range there {
		select {
		case <-c.Done():
			t.Errorf("%s: %v, though the drain was called off", c.Who, c.Err())
		default:
		}
	}

	rigtest.Check(t, node.Signal(syscall.SIGTERM))
	leaves()
	node.Kill()
	seenDown(t, proxy, 1)
	node.Restart()
	seenUp(t, proxy, 1)
	weighs(100)
}
