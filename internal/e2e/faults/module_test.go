package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp/amqptest"
	"warren/haproxy/haproxytest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// Clients of the JavaScript client, on two nodes behind HAProxy, are cut off at
// random, on either side of HAProxy and by themselves; a node is killed, and the
// nodes lose RabbitMQ. Without any help each client hears every message of its
// channels once, all in one order, is told of no gap, and every message that it
// publishes is confirmed once.
func TestModuleClientsCut(t *testing.T) {
	const length = 30 * time.Second
	b := amqptest.New(t, amqptest.Options{})
	v := newVenue(t, b)
	v.talk()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	faults := rig.NewFaults(v.fronts, rand.Uint64(), t.Logf)
	faults.Only, faults.Longest = []string{"cut", "reset"}, 600*time.Millisecond // else the backoffs grow
	var failed error
	running.Go(func() { failed = faults.Run(ctx, length) })
	v.cutSockets(ctx, length/4)
	killed := v.nodes[0]
	killed.Kill()
	v.cutSockets(ctx, time.Second)
	killed.Restart()
	v.cutSockets(ctx, length/4)
	for _, l := range v.backs {
		rigtest.Check(t, l.Cut())
	}
	v.cutSockets(ctx, 2*time.Second)
	for _, l := range v.backs {
		rigtest.Check(t, l.Mend())
	}
	v.cutSockets(ctx, length)
	running.Wait()
	if failed != nil && !errors.Is(failed, context.DeadlineExceeded) {
		t.Fatal(failed)
	}
	reports := v.end()
	t.Logf("faults: %v; %s", faults.Done, rigtest.Sums(reports))
	rigtest.WantHeard(t, reports, v.programs, v.speaks)
	if !slices.ContainsFunc(reports, func(r rig.CrowdReport) bool { return len(r.Nodes) > 1 }) {
		t.Error("no client went over from one node to the other")
	}
	copies := countCopies(t, b)
	t.Logf("the stream has %d second copies of what clients published", copies)
	if copies == 0 {
		t.Error("nothing was published twice: there were no copies to recognise")
	}
}

// venue is clients in Node.js, half of them in each of two processes, before
// HAProxy before two nodes before RabbitMQ, with links in between.
type venue struct {
	t        *testing.T
	broker   *amqptest.Server
	nodes    []*rigtest.Node
	fronts   []*rig.Link // between clients, HAProxy and nodes
	backs    []*rig.Link // between nodes and RabbitMQ
	crowds   []*rigtest.Crowd
	programs map[string]rig.Source
}

const (
	venueCrowds   = 2
	venueClients  = 25 // in each
	venueRoots    = 4  // of these, who hear root, too
	venueChannels = 6
	venuePace     = 50 * time.Millisecond // of a program; there is one a channel
	venueTalk     = 500                   // ms between two messages of a client
)

func venueChannel(i int) string { return fmt.Sprintf("channel/%d", i%venueChannels) }

// clientID counts the clients behind the programs.
func clientID(crowd, i int) int { return venueChannels + crowd*venueClients + i }

func newVenue(t *testing.T, b *amqptest.Server) *venue {
	t.Helper()
	v := &venue{t: t, broker: b, programs: map[string]rig.Source{}}
	links, urls := rigtest.Links(t, b, "node1", "node2")
	v.backs = slices.Clone(links.All)
	front := func(name, addr string) *rig.Link {
		l, err := links.Add(name, addr)
		rigtest.Check(t, err)
		v.fronts = append(v.fronts, l)
		return l
	}
	var addrs [2]string
	for i, url := range urls {
		n := rigtest.ReadyNode(t, fmt.Sprint("node", i+1), url, rigtest.StreamConfig()+"history: {messages: 100000, bytes: 64MiB}\n")
		v.nodes = append(v.nodes, n)
		addrs[i] = front("HAProxy to "+n.Name, n.Addr()).Addr()
	}
	proxy := haproxytest.New(t, addrs)
	for i := range venueCrowds {
		l := front(fmt.Sprintf("clients %d to HAProxy", i+1), proxy.Addr())
		v.crowds = append(v.crowds, v.gather(i, "ws://"+l.Addr()+"/ws"))
	}
	return v
}

// gather makes clients that each listen to two or three channels.
func (v *venue) gather(crowd int, url string) *rigtest.Crowd {
	c := rigtest.NewCrowd(v.t, v.nodes[0])
	var clients []rig.CrowdClient
	for i := range venueClients {
		id := clientID(crowd, i)
		channels := []string{venueChannel(id), venueChannel(id + 1)}
		if i%2 == 0 {
			channels = append(channels, venueChannel(id+3))
		}
		if i < venueRoots {
			channels = append(channels, "")
		}
		clients = append(clients, rig.CrowdClient{ID: id, URL: url, Channels: channels, Channel: v.speaks(id)})
	}
	c.Join(clients...)
	return c
}

// speaks is where a client publishes: half of them to a channel of theirs.
func (v *venue) speaks(id int) string { return venueChannel(id + id/venueChannels%2*2) }

// talk begins the publishing.
func (v *venue) talk() {
	v.t.Helper()
	for i := range venueChannels {
		p := rig.StartProgram(rig.ProgramOptions{
			URLs:     []string{v.broker.URL()},
			Exchange: rigtest.Exchange(v.t),
			Stream:   rigtest.Stream(v.t),
			Channel:  venueChannel(i),
			ID:       i,
			Every:    venuePace,
		})
		v.t.Cleanup(p.Cut)
		v.programs[venueChannel(i)] = p
	}
	for _, c := range v.crowds {
		c.Talk(venueTalk)
		c.AwaitNew(1)
	}
}

// cutSockets cuts sockets of clients chosen at random, for so long or until ctx
// ends.
func (v *venue) cutSockets(ctx context.Context, length time.Duration) {
	v.t.Helper()
	const every = 300 * time.Millisecond // each client once in some 8 s
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for i, c := range v.crowds {
			c.Cut(clientID(i, rand.IntN(venueClients)))
		}
	}
}

// end waits until everything that was published has come.
func (v *venue) end() (reports []rig.CrowdReport) {
	v.t.Helper()
	for _, n := range v.nodes {
		n.AwaitReady()
	}
	for _, c := range v.crowds {
		c.Hush()
	}
	for channel, p := range v.programs {
		ctx, cancel := rigtest.Context(v.t)
		rigtest.Check(v.t, p.(*rig.Program).Stop(ctx))
		cancel()
		rigtest.Say(v.t, v.broker.URL(), channel, rig.LastWord)
	}
	for _, c := range v.crowds {
		reports = append(reports, c.Report()...)
	}
	return reports
}

// countCopies reads the test's stream up to its last word and counts the
// messages of clients that were there before.
func countCopies(t *testing.T, b *amqptest.Server) (copies int) {
	t.Helper()
	conn, err := amqp091.Dial(b.URL())
	rigtest.Check(t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	rigtest.Check(t, err)
	rigtest.Check(t, ch.Qos(1000, 0, false))
	deliveries, err := ch.Consume(rigtest.Stream(t), "", false, false, false, false, amqp091.Table{"x-stream-offset": "first"})
	rigtest.Check(t, err)
	limit := time.NewTimer(rigtest.Patience)
	defer limit.Stop()
	seen := map[[2]any]bool{}
	for words := 0; words < venueChannels; {
		select {
		case d := <-deliveries:
			rigtest.Check(t, d.Ack(false))
			if string(d.Body) == rig.LastWord {
				words++
			}
			if id := d.Headers["x-warren-client-id"]; id != nil {
				message := [2]any{d.Headers["x-warren-session"], id}
				if seen[message] {
					copies++
				}
				seen[message] = true
			}
		case <-limit.C:
			t.Fatalf("the stream didn't end with %d last words, but %d", venueChannels, words)
		}
	}
	return copies
}
