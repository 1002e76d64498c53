package e2e_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// party is a node with clients in a room, some of whom talk.
type party struct {
	*rigtest.Node
	clients []*rig.Client
	talkers []*rig.Sender
}

const (
	partySize = 20
	partyTalk = 3 // of these
	partyPace = 5 * time.Millisecond
)

// gather fills a room on n. The talkers' ids count from first.
func gather(t *testing.T, n *rigtest.Node, first int) *party {
	t.Helper()
	clients := rigtest.JoinMany(t, n, "/ws/room", partySize, rig.ClientOptions{})
	return &party{n, clients, rig.Senders(clients[:partyTalk], first)}
}

// A node that gets SIGTERM under traffic closes every client with 1012 after
// its last message, publishes all that they have sent, and ends with status 0.
// The other node's clients get everything.
func TestNodeStops(t *testing.T) {
	const lastMinute = 1000 // messages of a talker who knows that the node stops: still to be published when it has left
	b := rigtest.Broker(t)
	// Time for every client to answer, however busy the machine.
	leaving := gather(t, rigtest.ReadyNode(t, "leaving", b.URL(), "clients: {close_timeout: 60s}"), 0)
	staying := gather(t, rigtest.ReadyNode(t, "staying", b.URL(), ""), partyTalk)
	talkers := slices.Concat(leaving.talkers, staying.talkers)
	p := newProgram(t, b)
	deliveries := p.listen()

	leavingTalk, stayingTalk := rigtest.Talk(t, leaving.talkers, partyPace), rigtest.Talk(t, staying.talkers, partyPace)
	rigtest.AwaitNumbers(t, slices.Concat(leaving.clients, staying.clients), talkers, rigtest.Repeat(100, talkers))
	seen := rigtest.Most(leaving.clients, talkers)
	stopped := make(chan error, 1)
	go func() { stopped <- leaving.Stop(rigtest.Patience) }()

	// The talkers talk on until they are told: all that must be published too.
	for _, p := range leaving.talkers {
		<-p.Done()
	}
	if err := leavingTalk.Stop(); err != nil {
		t.Error(err)
	}
	for _, c := range leaving.clients[partyTalk:] {
		rigtest.Left(t, c, rig.Restarts)
	}
	for _, p := range leaving.talkers {
		if err := p.SendMany(lastMinute); err != nil {
			t.Error(err)
		}
		rigtest.Left(t, p.Client, rig.Restarts)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := leaving.Err(); err != nil {
		t.Errorf("the node ended: %v", err)
	}
	for _, c := range leaving.clients {
		rigtest.WantFirst(t, c, talkers, seen)
	}

	enough := rigtest.Marks(staying.talkers)
	for i := range enough {
		enough[i] += 50
	}
	rigtest.AwaitNumbers(t, staying.clients, staying.talkers, enough)
	if err := stayingTalk.Stop(); err != nil {
		t.Error(err)
	}
	rigtest.AwaitLast(t, staying.clients, talkers)
	p.say("room", rig.LastWord)
	rigtest.Dismissed(t, staying.clients)
	rigtest.WantAll(t, staying.clients, talkers)

	heard := rig.Tally{Who: "the AMQP program"}
	timeout := time.NewTimer(rigtest.Patience)
	defer timeout.Stop()
	for last := ""; last != rig.LastWord; {
		select {
		case d := <-deliveries:
			if last = string(d.Body); last != rig.LastWord {
				if err := heard.Note(d.Body); err != nil {
					t.Fatal(err)
				}
			}
		case <-timeout.C:
			t.Fatalf("the AMQP program waits for %q after %q", rig.LastWord, last)
		}
	}
	for _, p := range talkers {
		if v := heard.Judge(p); v.Wrong() > 0 {
			t.Errorf("%s, of %d messages of talker %d: %v", heard.Who, p.Mark(), p.ID(), v)
		}
	}
}

// A node dies without a word. The other's clients go on unharmed, the dead
// node's queue is gone, and a new node of its name is heard.
func TestNodeKilled(t *testing.T) {
	b := rigtest.Broker(t)
	dying := gather(t, rigtest.ReadyNode(t, "dying", b.URL(), ""), 0)
	living := gather(t, rigtest.ReadyNode(t, "living", b.URL(), ""), partyTalk)
	talkers := slices.Concat(dying.talkers, living.talkers)
	if queues := rigtest.Ctl(t, b, "list_queues", "name"); !strings.Contains(queues, dying.Queue()) || !strings.Contains(queues, living.Queue()) {
		t.Fatalf("queues %q, want %q and %q among them", queues, dying.Queue(), living.Queue())
	}

	dyingTalk, livingTalk := rigtest.Talk(t, dying.talkers, partyPace), rigtest.Talk(t, living.talkers, partyPace)
	rigtest.AwaitNumbers(t, slices.Concat(dying.clients, living.clients), talkers, rigtest.Repeat(100, talkers))
	seen := rigtest.Most(dying.clients, talkers)
	dying.Kill()
	for _, c := range dying.clients {
		<-c.Done()
		if closed := (*rig.ClosedError)(nil); c.Err() == nil || errors.As(c.Err(), &closed) {
			t.Errorf("%s of a killed node: %v", c.Who, c.Err())
		}
		rigtest.WantFirst(t, c, talkers, rigtest.Repeat(100, talkers))
	}
	_ = dyingTalk.Stop() // its talkers may have met the end

	// What a client of the dead node had got, it had been published.
	rigtest.Await(t, func() error {
		if queues := rigtest.Ctl(t, b, "list_queues", "name"); strings.Contains(queues, dying.Queue()) || !strings.Contains(queues, living.Queue()) {
			return errors.New("queues " + queues)
		}
		return nil
	})
	again := gather(t, rigtest.ReadyNode(t, "dying", b.URL(), ""), 2*partyTalk)
	againTalk := rigtest.Talk(t, again.talkers, partyPace)
	newcomers := slices.Concat(living.talkers, again.talkers)
	enough := rigtest.Marks(newcomers)
	for i := range enough {
		enough[i] += 100
	}
	rigtest.AwaitNumbers(t, slices.Concat(living.clients, again.clients), newcomers, enough)
	if err := errors.Join(livingTalk.Stop(), againTalk.Stop()); err != nil {
		t.Error(err)
	}
	rigtest.AwaitLast(t, living.clients, newcomers)
	rigtest.Dismiss(t, b.URL(), "room", slices.Concat(living.clients, again.clients))
	rigtest.WantAll(t, living.clients, newcomers)
	rigtest.WantAll(t, again.clients, again.talkers)
	for _, c := range living.clients {
		rigtest.WantFirst(t, c, dying.talkers, seen)
	}
	living.Says(map[string]int{"attached to RabbitMQ": 1, "level=WARN": 0})
}
