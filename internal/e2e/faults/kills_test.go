package faults_test

import (
	"fmt"
	"testing"
	"time"

	"warren/amqp/amqptest"
	"warren/internal/rig/rigtest"
)

// RabbitMQ is killed ten times under traffic. In stream delivery every client
// hears every message once, all in one order. In queue delivery, on the same
// RabbitMQ, whatever is missing lies in an announced gap and is counted.
func TestBrokerKilledTenTimes(t *testing.T) {
	const rounds = 10
	b := amqptest.New(t, amqptest.Options{})
	url := []string{b.URL()}
	streams := rigtest.NewHall(rigtest.Sub(t, "stream"), rigtest.HallOptions{
		Nodes:   []string{b.URL(), b.URL()},
		Config:  rigtest.StreamConfig(),
		Program: url,
		Stream:  true,
		Clients: 50,
		Senders: 2,
		Pace:    10 * time.Millisecond, // 500 messages a second together
	})
	queues := rigtest.NewHall(rigtest.Sub(t, "queue"), rigtest.HallOptions{
		Nodes:   []string{b.URL(), b.URL()},
		Config:  "amqp: {reconnect: {max: 1s}}",
		Program: url,
		Clients: 5,
		Senders: 2,
		Pace:    50 * time.Millisecond,
	})
	rigtest.Sync(t, b)
	holes := newHoles(queues)
	for round := range rounds {
		holes.begin()
		rigtest.Check(t, b.Kill())
		holes.killed()
		rigtest.Restart(t, b)
		for _, n := range queues.Nodes {
			awaitGaps(t, n, round+1)
			n.AwaitReady()
		}
		holes.end()
		streams.AwaitNew(200 / len(streams.Sources))
		queues.AwaitNew(2)
	}
	queues.Hush()
	for _, n := range queues.Nodes {
		lost := holes.judge(t, n)
		t.Logf("clients of %s in queue delivery lack %d messages of %v", n.Name, lost, rigtest.Marks(queues.Sources))
		n.AwaitLost(lost)
	}
	rigtest.Dismiss(rigtest.Sub(t, "queue"), b.URL(), rigtest.Room, queues.Clients)
	streams.End(b.URL())
	for _, n := range streams.Nodes {
		if gaps := n.Log.Lines(`msg="gap: `); len(gaps) > 0 {
			t.Errorf("%s in stream delivery announced %q", n.Name, gaps)
		}
	}
	t.Logf("the AMQP programs began to publish %d and %d times", streams.Program.Links(), queues.Program.Links())
}

// awaitGaps waits until a node has announced so many gaps.
func awaitGaps(t *testing.T, n *rigtest.Node, want int) {
	t.Helper()
	rigtest.Await(t, func() error {
		if lines := n.Log.Lines(`msg="gap: `); len(lines) < want {
			return fmt.Errorf("%s announced %d gaps of %d", n.Name, len(lines), want)
		}
		return nil
	})
}
