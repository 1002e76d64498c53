package e2e_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// party is a node with clients in a room, some of whom talk.
type party struct {
	*node
	clients []*client
	talkers []*publisher
}

const (
	partySize = 20
	partyTalk = 3 // of these
	partyPace = 5 * time.Millisecond
)

// gather fills a room on n. The talkers' ids count from first.
func gather(t *testing.T, n *node, first int) *party {
	t.Helper()
	clients := joinMany(t, n, "/ws/room", partySize)
	return &party{n, clients, publish(clients[:partyTalk], first)}
}

// A node that gets SIGTERM under traffic closes every client with 1001 after
// its last message, publishes all that they have sent, and ends with status 0.
// The other node's clients get everything.
func TestNodeStops(t *testing.T) {
	const lastMinute = 1000 // messages of a talker who knows that the node stops: still to be published when it has left
	b := broker(t)
	// Time for every client to answer, however busy the machine.
	leaving := gather(t, readyNode(t, "leaving", b.URL(), "clients: {close_timeout: 60s}"), 0)
	staying := gather(t, readyNode(t, "staying", b.URL(), ""), partyTalk)
	talkers := slices.Concat(leaving.talkers, staying.talkers)
	p := newProgram(t, b)
	deliveries := p.listen()

	stopLeaving, stopStaying := talk(t, leaving.talkers, partyPace), talk(t, staying.talkers, partyPace)
	awaitNumbers(t, slices.Concat(leaving.clients, staying.clients), talkers, repeat(100, talkers))
	seen := most(leaving.clients, talkers)
	stopped := make(chan error, 1)
	go func() { stopped <- leaving.Stop(syscall.SIGTERM, patience) }()

	// The talkers talk on until they are told: all that must be published too.
	for _, p := range leaving.talkers {
		<-p.done
	}
	if err := stopLeaving(); err != nil {
		t.Error(err)
	}
	for _, c := range leaving.clients[partyTalk:] {
		c.left(ws.StatusGoingAway)
	}
	for _, p := range leaving.talkers {
		if err := p.sendMany(lastMinute); err != nil {
			t.Error(err)
		}
		p.left(ws.StatusGoingAway)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := leaving.Err(); err != nil {
		t.Errorf("the node ended: %v", err)
	}
	for _, c := range leaving.clients {
		c.wantFirst(t, talkers, seen)
	}

	enough := marks(staying.talkers)
	for i := range enough {
		enough[i] += 50
	}
	awaitNumbers(t, staying.clients, staying.talkers, enough)
	if err := stopStaying(); err != nil {
		t.Error(err)
	}
	awaitLast(t, staying.clients, talkers)
	p.say("room", lastWord)
	dismissed(t, staying.clients)
	wantAll(t, staying.clients, talkers)

	heard := tally{who: "the AMQP program"}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for last := ""; last != lastWord; {
		select {
		case d := <-deliveries:
			if last = string(d.Body); last != lastWord {
				if err := heard.note(d.Body); err != nil {
					t.Fatal(err)
				}
			}
		case <-timeout.C:
			t.Fatalf("the AMQP program waits for %q after %q", lastWord, last)
		}
	}
	heard.wantAll(t, talkers)
}

// A node dies without a word. The other's clients go on unharmed, the dead
// node's queue is gone, and a new node of its name is heard.
func TestNodeKilled(t *testing.T) {
	b := broker(t)
	dying := gather(t, readyNode(t, "dying", b.URL(), ""), 0)
	living := gather(t, readyNode(t, "living", b.URL(), ""), partyTalk)
	talkers := slices.Concat(dying.talkers, living.talkers)
	if queues := ctl(t, b, "list_queues", "name"); !strings.Contains(queues, dying.queue()) || !strings.Contains(queues, living.queue()) {
		t.Fatalf("queues %q, want %q and %q among them", queues, dying.queue(), living.queue())
	}

	stopDying, stopLiving := talk(t, dying.talkers, partyPace), talk(t, living.talkers, partyPace)
	awaitNumbers(t, slices.Concat(dying.clients, living.clients), talkers, repeat(100, talkers))
	seen := most(dying.clients, talkers)
	dying.kill()
	for _, c := range dying.clients {
		<-c.done
		if closed := (closedError{}); c.err == nil || errors.As(c.err, &closed) {
			t.Errorf("%s of a killed node: %v", c.who, c.err)
		}
		c.wantFirst(t, talkers, repeat(100, talkers))
	}
	_ = stopDying() // its talkers may have met the end

	// What a client of the dead node had got, it had been published.
	await(t, func() error {
		if queues := ctl(t, b, "list_queues", "name"); strings.Contains(queues, dying.queue()) || !strings.Contains(queues, living.queue()) {
			return errors.New("queues " + queues)
		}
		return nil
	})
	again := gather(t, readyNode(t, "dying", b.URL(), ""), 2*partyTalk)
	stopAgain := talk(t, again.talkers, partyPace)
	newcomers := slices.Concat(living.talkers, again.talkers)
	enough := marks(newcomers)
	for i := range enough {
		enough[i] += 100
	}
	awaitNumbers(t, slices.Concat(living.clients, again.clients), newcomers, enough)
	if err := errors.Join(stopLiving(), stopAgain()); err != nil {
		t.Error(err)
	}
	awaitLast(t, living.clients, newcomers)
	newProgram(t, b).say("room", lastWord)
	dismissed(t, living.clients)
	dismissed(t, again.clients)
	wantAll(t, living.clients, newcomers)
	wantAll(t, again.clients, again.talkers)
	for _, c := range living.clients {
		c.wantFirst(t, dying.talkers, seen)
	}
	says(t, living.node, map[string]int{"attached to RabbitMQ": 1, "level=WARN": 0})
}
