package faults_test

import (
	"strings"
	"testing"
	"time"

	"warren/amqp/amqptest"
	"warren/internal/rig/rigtest"
)

// The nodes of a RabbitMQ cluster are killed and started again, one after the
// other. Every client hears every message once, all in one order.
func TestClusterMembersKilled(t *testing.T) {
	c := amqptest.NewCluster(t, 3, amqptest.Options{})
	urls := c.URLs()
	h := rigtest.NewHall(t, rigtest.HallOptions{
		// Each begins with another member.
		Nodes:   []string{strings.Join(urls, ","), strings.Join([]string{urls[1], urls[2], urls[0]}, ",")},
		Config:  rigtest.StreamConfig(),
		Program: []string{urls[2], urls[0], urls[1]},
		Stream:  true,
		Clients: 50,
		Senders: 2,
		Pace:    20 * time.Millisecond,
	})
	rigtest.Sync(t, c.Nodes[0])
	for _, member := range c.Nodes {
		rigtest.Check(t, member.Kill())
		h.AwaitNew(50) // two are enough
		rigtest.Restart(t, member)
		h.AwaitNew(20)
	}
	h.End(urls[0])
	for _, n := range h.Nodes {
		if gaps := n.Log.Lines(`msg="gap: `); len(gaps) > 0 {
			t.Errorf("%s announced %q", n.Name, gaps)
		}
		if lost := n.Log.Lines("lost the link"); len(lost) == 0 {
			t.Errorf("%s was linked to none of those killed", n.Name)
		}
	}
}
