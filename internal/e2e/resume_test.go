package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// A node is killed under load and started again, and another is started for
// the first time. Before they are ready they refuse WebSockets; as soon as they
// are, they serve clients from any message on, and hand over those of the killed
// node: nothing is missing and nothing comes twice.
func TestNodeKilledResumes(t *testing.T) {
	const clients, senders = 20, 3 // a node
	b := rigtest.Broker(t)
	links, urls := rigtest.Links(t, b, "node1", "new")
	h := rigtest.NewHall(t, rigtest.HallOptions{
		Nodes:   []string{urls[0], b.URL()},
		Config:  keeps,
		Program: []string{b.URL()},
		Stream:  true,
		Clients: clients,
		Senders: senders,
		Pace:    10 * time.Millisecond,
	})
	ids := rigtest.ReadIDs(t, b)
	h.AwaitNew(50)
	n := h.Nodes[0]
	n.Kill()
	gone := h.Lose(n)
	for _, l := range links.All {
		rigtest.Check(t, l.Cut())
	}
	n.Restart()
	awaitOpen(t, n, links.All[0])
	h.Enter(n, rigtest.ResumeMany(t, gone, n, ids), senders)
	visitors := visit(t, n, h, ids)

	fresh := rigtest.StartNode(t, "new", urls[1], keeps)
	awaitOpen(t, fresh, links.All[1])
	visitors = append(visitors, visit(t, fresh, h, ids)...)
	for _, l := range links.All {
		rigtest.Check(t, l.Mend())
	}
	h.AwaitNew(50)
	h.End(b.URL())
	rigtest.Dismissed(t, visitors)
}

// awaitOpen mends the link of a node that was just started and waits until it
// takes WebSockets, which it may do only when it is ready. Until then it says 503.
func awaitOpen(t *testing.T, n *rigtest.Node, l *rig.Link) {
	t.Helper()
	if open, err := knock(t, n); open || err != nil {
		t.Errorf("%s takes WebSockets without a link to RabbitMQ; %v", n.Name, err)
	}
	rigtest.Check(t, l.Mend())
	// Slow, so that it can be seen if it takes them too early.
	rigtest.Check(t, l.Harm("latency", rig.FromRabbit, rig.Attributes{"latency": 200}))
	rigtest.Await(t, func() error {
		open, err := knock(t, n)
		switch {
		case err != nil:
			return rig.Never(err)
		case !open:
			return fmt.Errorf("%s takes no WebSockets", n.Name)
		}
		return nil
	})
	if status, body := n.Get("/readyz"); status != http.StatusOK {
		t.Errorf("%s takes WebSockets, but /readyz says %d %s", n.Name, status, body)
	}
}

// knock says whether a node takes a WebSocket or refuses it with 503.
func knock(t *testing.T, n *rigtest.Node) (open bool, err error) {
	t.Helper()
	ctx, cancel := rigtest.Context(t)
	defer cancel()
	c, err := rig.Open(ctx, n.Node, "/ws/"+rigtest.Room, rig.ClientOptions{})
	if err == nil {
		c.Close()
		return true, nil
	}
	if no := (*rig.RefusedError)(nil); errors.As(err, &no) && no.Status == http.StatusServiceUnavailable {
		return false, nil
	}
	return false, err
}

// visit opens clients behind messages all over what the hall has heard. They
// must hear all the rest.
func visit(t *testing.T, n *rigtest.Node, h *rigtest.Hall, ids *rig.IDs) (all []*rig.Client) {
	t.Helper()
	const count = 50
	last := h.Order.Len() - 1
	for i := range count {
		place := last * i / (count - 1)
		ctx, cancel := rigtest.Context(t)
		id, err := ids.Find(ctx, h.Order.At(place))
		cancel()
		rigtest.Check(t, err)
		c := rigtest.JoinMany(t, n, fmt.Sprintf("/ws/%s?since=%v", rigtest.Room, id), 1, rig.ClientOptions{Order: h.Order, Place: place + 1})
		if gap := c[0].Header.Get(rig.GapHeader); gap != "" {
			t.Errorf("%s behind %v, message %d: %s: %s", n.Name, id, place, rig.GapHeader, gap)
		}
		all = slices.Concat(all, c)
	}
	return all
}
