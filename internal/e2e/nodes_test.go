package e2e_test

import (
	"slices"
	"sync"
	"testing"
)

// What clients of two nodes say to each other reaches everyone on their
// channel once, in order; root hears all channels, and nobody another's.
func TestTwoNodes(t *testing.T) {
	const (
		clients    = 100    // a node
		publishers = 4      // of these
		messages   = 10_000 // from all publishers together
		elsewhere  = 500    // on another channel
	)
	b := broker(t)
	nodes := []*node{readyNode(t, "one", b.URL(), ""), readyNode(t, "two", b.URL(), "")}
	var room, root, hall, silent []*client
	var inRoom []*publisher
	for _, n := range nodes {
		here := joinMany(t, n, "/ws/room", clients)
		inRoom = append(inRoom, publish(here[:publishers], len(inRoom))...)
		room = append(room, here...)
		root = append(root, joinMany(t, n, "/ws", 2)...)
		hall = append(hall, join(t, n, "/ws/hall"))
		silent = append(silent, join(t, n, "/ws/roo"), join(t, n, "/ws/room/2"))
	}
	inHall := publish(hall[1:], len(inRoom))

	var talking sync.WaitGroup
	for _, p := range inRoom {
		talking.Go(func() {
			if err := p.sendMany(messages / len(inRoom)); err != nil {
				t.Error(err)
			}
		})
	}
	talking.Go(func() {
		if err := inHall[0].sendMany(elsewhere); err != nil {
			t.Error(err)
		}
	})
	talking.Wait()
	all := slices.Concat(inRoom, inHall)
	awaitLast(t, room, inRoom)
	awaitLast(t, hall, inHall)
	awaitLast(t, root, all)

	// What comes twice, or where it doesn't belong, comes before the last word.
	p := newProgram(t, b)
	for _, channel := range []string{"roo", "room/2", "hall", "room"} {
		p.say(channel, lastWord)
	}
	for _, group := range [][]*client{room, root, hall, silent} {
		dismissed(t, group)
	}
	wantAll(t, room, inRoom)
	wantAll(t, hall, inHall)
	wantAll(t, root, all)
	for _, group := range []struct {
		name    string
		clients []*client
		want    int
	}{{"room", room, messages}, {"hall", hall, elsewhere}, {"root", root, messages + elsewhere}, {"other channels", silent, 0}} {
		for _, c := range group.clients {
			if got := c.total(); got != group.want {
				t.Errorf("%s on %s heard %d messages, want %d", group.name, c.node.name, got, group.want)
			}
		}
	}
}
