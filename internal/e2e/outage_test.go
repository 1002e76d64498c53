package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"warren/amqp/amqptest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// reconnects is a node's configuration with short backoffs, and with a window
// that an outage fills, so that clients are held back too.
const reconnects = "amqp: {reconnect: {max: 1s}, window: {messages: 500}}"

// RabbitMQ is killed under traffic and stays away for 10 s. No client is cut;
// nothing is repeated or out of order; what a node's clients send meanwhile
// waits, and reaches all clients of that node.
func TestBrokerKilled(t *testing.T) {
	const (
		clients    = 20 // a node
		publishers = 3  // of these
		outage     = 10 * time.Second
	)
	b := amqptest.New(t, amqptest.Options{})
	nodes := []*rigtest.Node{rigtest.ReadyNode(t, "one", b.URL(), reconnects), rigtest.ReadyNode(t, "two", b.URL(), reconnects)}
	var all []*rig.Client
	var talkers []*rig.Sender
	for _, n := range nodes {
		here := rigtest.JoinMany(t, n, "/ws/room", clients, rig.ClientOptions{})
		all = append(all, here...)
		talkers = append(talkers, rig.Senders(here[:publishers], len(talkers))...)
	}
	talk := rigtest.Talk(t, talkers, 5*time.Millisecond)
	rigtest.AwaitNumbers(t, all, talkers, rigtest.Repeat(100, talkers))

	seen := make([][]int, len(all)) // how much each client has surely got of each publisher
	for i, c := range all {
		for _, p := range talkers {
			seen[i] = append(seen[i], c.Count(p.ID()))
		}
	}
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := rigtest.Marks(talkers)
	over := time.NewTimer(outage)
	defer over.Stop()
	for _, n := range nodes {
		n.AwaitUnready("unavailable", b.Addr(), "connection refused")
	}
	staysUnready(t, nodes, over.C)
	revived := rigtest.Marks(talkers)
	rigtest.Restart(t, b)
	for _, n := range nodes {
		n.AwaitReady()
	}
	back := rigtest.Marks(talkers)
	enough := slices.Clone(back)
	for i := range talkers {
		if revived[i] < killed[i]+200 {
			t.Errorf("publisher %d sent only %d messages while RabbitMQ was away", i, revived[i]-killed[i])
		}
		enough[i] += 200
	}
	rigtest.AwaitNumbers(t, all, talkers, enough)
	if err := talk.Stop(); err != nil {
		t.Error(err)
	}
	rigtest.AwaitLast(t, all, talkers)
	rigtest.Dismiss(t, b.URL(), "room", all)

	t.Logf("publishers had sent %v when RabbitMQ was killed, %v when both nodes were ready again, %v at the end",
		killed, back, rigtest.Marks(talkers))
	for _, n := range nodes {
		lost := gap(t, n, all, talkers, func(i, j, number int) bool {
			if number < seen[i][j] {
				return false
			}
			if talkers[j].Node == n.Node {
				return number < killed[j] // it was under way
			}
			return number < back[j] // or came before this node's queue was back
		})
		t.Logf("clients of %s lack %d messages", n.Name, lost)
		saysOutage(t, n, lost)
	}
}

// gap is how many messages the clients of n lack, the same ones all of them. may
// says whether client i may lack a message of talker j.
func gap(t *testing.T, n *rigtest.Node, clients []*rig.Client, talkers []*rig.Sender, may func(i, j, number int) bool) int {
	t.Helper()
	var common []string
	for i, c := range clients {
		if c.Node != n.Node {
			continue
		}
		lacks := []string{}
		for j, p := range talkers {
			v := c.Judge(p)
			if v.Wrong() > v.Lost() {
				t.Fatalf("%s, of talker %d: %v", c.Who, p.ID(), v)
			}
			for _, s := range v.Missing {
				for number := s.First; number < s.End; number++ {
					if !may(i, j, number) {
						t.Fatalf("%s lacks message %d of talker %d on %s", c.Who, number, p.ID(), p.Node.Name)
					}
					lacks = append(lacks, fmt.Sprintf("%d/%d", p.ID(), number))
				}
			}
		}
		if common == nil {
			common = lacks
		}
		if !slices.Equal(common, lacks) {
			t.Errorf("clients of %s lack %d and %d messages", n.Name, len(common), len(lacks))
		}
	}
	return len(common)
}

// staysUnready asks the nodes again and again until over.
func staysUnready(t *testing.T, nodes []*rigtest.Node, over <-chan time.Time) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, n := range nodes {
			status, body := n.Get("/readyz")
			if status != http.StatusServiceUnavailable || !strings.Contains(body, `"reason":"`) || strings.Contains(body, "guest:guest") {
				t.Errorf("/readyz of %s without RabbitMQ: %d %s", n.Name, status, body)
			}
			if status, body := n.Get("/healthz"); status != http.StatusOK {
				t.Errorf("/healthz of %s without RabbitMQ: %d %s", n.Name, status, body)
			}
		}
		select {
		case <-tick.C:
		case <-over:
			return
		}
	}
}

// saysOutage checks that a node logged one outage, each change once, and how
// many messages were lost in it.
func saysOutage(t *testing.T, n *rigtest.Node, lost int) {
	t.Helper()
	n.AwaitLost(lost)
	n.Says(map[string]int{
		"attached to RabbitMQ": 2, "lost the link to RabbitMQ": 1, "connection refused": 1, `msg="gap: `: 1, "guest:guest": 0,
	})
	if bad, good := n.Log.Lines("can't publish"), n.Log.Lines("publishing to RabbitMQ again"); len(bad) != len(good) {
		t.Errorf("%s logged %q, and then %q", n.Name, bad, good)
	}
}

// Without RabbitMQ a node starts, says what is wrong and takes clients. What
// they send waits for RabbitMQ to appear.
func TestBrokerAbsent(t *testing.T) {
	const clients, publishers, messages, password = 5, 3, 1000, "Tr0ub4dor&3"
	b := amqptest.New(t, amqptest.Options{})
	rigtest.Ctl(t, b, "add_user", "warren", password)
	rigtest.Ctl(t, b, "set_permissions", "warren", ".*", ".*", ".*")
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}

	n := rigtest.StartNode(t, "early", b.URLFor("warren", password, "/"), reconnects)
	n.AwaitUnready("unavailable", b.Addr(), "connection refused")
	if _, body := n.Get("/readyz"); strings.Contains(body, "Tr0ub4dor") {
		t.Errorf("/readyz shows the password: %s", body)
	}
	if status, body := n.Get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d %s", status, body)
	}
	all := rigtest.JoinMany(t, n, "/ws/room", clients, rig.ClientOptions{})
	talkers := rig.Senders(all[:publishers], 0)
	for _, p := range talkers {
		if err := p.SendMany(messages); err != nil { // more than the window, less than the sockets hold
			t.Fatal(err)
		}
	}
	rigtest.Restart(t, b)
	n.AwaitReady()
	rigtest.AwaitLast(t, all, talkers)
	rigtest.Dismiss(t, b.URL(), "room", all)
	rigtest.WantAll(t, all, talkers)

	n.Says(map[string]int{
		"attached to RabbitMQ": 1, "connection refused": 1, `msg="gap: `: 0, "lost the link": 0, "Tr0ub4dor": 0,
	})
}
