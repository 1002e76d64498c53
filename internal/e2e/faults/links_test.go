package faults_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"warren/amqp/amqptest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// The links of two nodes and of an AMQP program are cut, stalled, slowed down
// and reset at random. Every client hears every message once, all in one order.
func TestLinksFail(t *testing.T) {
	b := amqptest.New(t, amqptest.Options{})
	links, urls := rigtest.Links(t, b, "node1", "node2", "program")
	h := rigtest.NewHall(t, rigtest.HallOptions{
		Nodes:   urls[:2],
		Config:  rigtest.StreamConfig(),
		Program: urls[2:],
		Stream:  true,
		Clients: 50,
		Senders: 2,
		Pace:    10 * time.Millisecond,
	})
	faults := rig.NewFaults(links.All, rand.Uint64(), t.Logf)
	rigtest.Check(t, faults.Run(t.Context(), 60*time.Second))
	for _, n := range h.Nodes {
		n.AwaitReady()
	}
	h.AwaitNew(50)
	h.End(b.URL())
	for _, n := range h.Nodes {
		if gaps := n.Log.Lines(`msg="gap: `); len(gaps) > 0 {
			t.Errorf("%s announced %q", n.Name, gaps)
		}
		t.Logf("%s lost its link %d times", n.Name, len(n.Log.Lines("lost the link")))
	}
	t.Logf("faults: %v; the AMQP program began to publish %d times", faults.Done, h.Program.Links())
}
