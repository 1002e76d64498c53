package e2e_test

import (
	"testing"
	"time"

	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// keeps is a configuration for stream delivery with a history that covers a
// test.
var keeps = rigtest.StreamConfig() + "history: {messages: 100000, bytes: 64MiB}\n"

// Both nodes are stopped and started again under load, one after the other.
// Their clients come back, half of them to the other node, and ask for what
// came after the last they heard. What a node took from them before it stopped
// reaches all. Everyone hears every message once, in one order, as if nobody had
// ever left.
func TestRollingRestart(t *testing.T) {
	const (
		clients    = 20   // a node
		senders    = 3    // of these
		lastMinute = 1000 // messages of a sender who knows that the node stops: still to be published when it has left
	)
	b := rigtest.Broker(t)
	h := rigtest.NewHall(t, rigtest.HallOptions{
		Nodes:   []string{b.URL(), b.URL()},
		Config:  keeps + "clients: {close_timeout: 60s}\n", // time for all of them to answer, however busy the machine
		Program: []string{b.URL()},
		Stream:  true,
		Clients: clients,
		Senders: senders,
		Pace:    10 * time.Millisecond,
	})
	ids := rigtest.ReadIDs(t, b)
	for i, n := range h.Nodes {
		stopped := make(chan error, 1)
		go func() { stopped <- n.Stop(rigtest.Patience) }()
		gone := h.Quit(n, rig.Restarts, lastMinute)
		rigtest.Check(t, <-stopped)
		if err := n.Err(); err != nil {
			t.Errorf("%s ended: %v", n.Name, err)
		}
		other := h.Nodes[1-i]
		h.Enter(other, rigtest.ResumeMany(t, gone[:len(gone)/2], other, ids), senders)
		h.AwaitNew(20)
		n.Restart()
		n.AwaitReady()
		h.Enter(n, rigtest.ResumeMany(t, gone[len(gone)/2:], n, ids), senders)
		h.AwaitNew(20)
	}
	if got, want := len(h.Clients), 2*clients; got != want {
		t.Errorf("%d clients at the end, want %d", got, want)
	}
	h.End(b.URL())
	for _, n := range h.Nodes {
		for _, part := range []string{"not all messages reached", `msg="gap: `} {
			if lines := n.Log.Lines(part); len(lines) > 0 {
				t.Errorf("%s logged %q", n.Name, lines)
			}
		}
	}
}
