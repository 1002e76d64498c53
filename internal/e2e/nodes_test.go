package e2e_test

import (
	"slices"
	"sync"
	"testing"

	"warren/internal/rig"
	"warren/internal/rig/rigtest"
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
	b := rigtest.Broker(t)
	nodes := []*rigtest.Node{rigtest.ReadyNode(t, "one", b.URL(), ""), rigtest.ReadyNode(t, "two", b.URL(), "")}
	var room, root, hall, silent []*rig.Client
	var inRoom []*rig.Sender
	for _, n := range nodes {
		here := rigtest.JoinMany(t, n, "/ws/room", clients, rig.ClientOptions{})
		inRoom = append(inRoom, rig.Senders(here[:publishers], len(inRoom))...)
		room = append(room, here...)
		root = append(root, rigtest.JoinMany(t, n, "/ws", 2, rig.ClientOptions{})...)
		hall = append(hall, rigtest.Join(t, n, "/ws/hall"))
		silent = append(silent, rigtest.Join(t, n, "/ws/roo"), rigtest.Join(t, n, "/ws/room/2"))
	}
	inHall := rig.Senders(hall[1:], len(inRoom))

	var talking sync.WaitGroup
	for _, p := range inRoom {
		talking.Go(func() {
			if err := p.SendMany(messages / len(inRoom)); err != nil {
				t.Error(err)
			}
		})
	}
	talking.Go(func() {
		if err := inHall[0].SendMany(elsewhere); err != nil {
			t.Error(err)
		}
	})
	talking.Wait()
	all := slices.Concat(inRoom, inHall)
	rigtest.AwaitLast(t, room, inRoom)
	rigtest.AwaitLast(t, hall, inHall)
	rigtest.AwaitLast(t, root, all)

	// What comes twice, or where it doesn't belong, comes before the last word.
	p := newProgram(t, b)
	for _, channel := range []string{"roo", "room/2", "hall", "room"} {
		p.say(channel, rig.LastWord)
	}
	for _, group := range [][]*rig.Client{room, root, hall, silent} {
		rigtest.Dismissed(t, group)
	}
	rigtest.WantAll(t, room, inRoom)
	rigtest.WantAll(t, hall, inHall)
	rigtest.WantAll(t, root, all)
	for _, group := range []struct {
		name    string
		clients []*rig.Client
		want    int
	}{{"room", room, messages}, {"hall", hall, elsewhere}, {"root", root, messages + elsewhere}, {"other channels", silent, 0}} {
		for _, c := range group.clients {
			if got := c.Total(); got != group.want {
				t.Errorf("%s: %s heard %d messages, want %d", group.name, c.Who, got, group.want)
			}
		}
	}
}
