package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"warren/amqp/amqptest"
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
	nodes := []*node{readyNode(t, "one", b.URL(), reconnects), readyNode(t, "two", b.URL(), reconnects)}
	var all []*client
	var talkers []*publisher
	for _, n := range nodes {
		here := joinMany(t, n, "/ws/room", clients)
		all = append(all, here...)
		talkers = append(talkers, publish(here[:publishers], len(talkers))...)
	}
	stop := talk(t, talkers, 5*time.Millisecond)
	awaitNumbers(t, all, talkers, repeat(100, talkers))

	seen := make([][]int, len(all)) // how much each client has surely got of each publisher
	for i, c := range all {
		for _, p := range talkers {
			seen[i] = append(seen[i], len(c.of(p)))
		}
	}
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := marks(talkers)
	over := time.NewTimer(outage)
	defer over.Stop()
	for _, n := range nodes {
		n.awaitUnready("unavailable", b.Addr(), "connection refused")
	}
	staysUnready(t, nodes, over.C)
	revived := marks(talkers)
	restart(t, b)
	for _, n := range nodes {
		n.awaitReady()
	}
	back := marks(talkers)
	enough := slices.Clone(back)
	for i := range talkers {
		if revived[i] < killed[i]+200 {
			t.Errorf("publisher %d sent only %d messages while RabbitMQ was away", i, revived[i]-killed[i])
		}
		enough[i] += 200
	}
	awaitNumbers(t, all, talkers, enough)
	if err := stop(); err != nil {
		t.Error(err)
	}
	awaitLast(t, all, talkers)
	newProgram(t, b).say("room", lastWord)
	dismissed(t, all)

	t.Logf("publishers had sent %v when RabbitMQ was killed, %v when both nodes were ready again, %v at the end",
		killed, back, marks(talkers))
	for _, n := range nodes {
		lost := gap(t, n, all, talkers, func(i, j, number int) bool {
			if number < seen[i][j] {
				return false
			}
			if talkers[j].node == n {
				return number < killed[j] // it was under way
			}
			return number < back[j] // or came before this node's queue was back
		})
		t.Logf("clients of %s lack %d messages", n.name, lost)
		saysOutage(t, n, lost)
	}
}

// gap is how many messages the clients of n lack, the same ones all of them. may
// says whether client i may lack a message of talker j.
func gap(t *testing.T, n *node, clients []*client, talkers []*publisher, may func(i, j, number int) bool) int {
	t.Helper()
	var common []string
	for i, c := range clients {
		if c.node != n {
			continue
		}
		lacks := []string{}
		for j, p := range talkers {
			for _, number := range c.missing(t, p) {
				if !may(i, j, number) {
					t.Fatalf("%s lacks message %d of publisher %d on %s", c.who, number, p.id, p.node.name)
				}
				lacks = append(lacks, fmt.Sprintf("%d/%d", p.id, number))
			}
		}
		if common == nil {
			common = lacks
		}
		if !slices.Equal(common, lacks) {
			t.Errorf("clients of %s lack %d and %d messages", n.name, len(common), len(lacks))
		}
	}
	return len(common)
}

// staysUnready asks the nodes again and again until over.
func staysUnready(t *testing.T, nodes []*node, over <-chan time.Time) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, n := range nodes {
			status, body := n.get("/readyz")
			if status != http.StatusServiceUnavailable || !strings.Contains(body, `"reason":"`) || strings.Contains(body, "guest:guest") {
				t.Errorf("/readyz of %s without RabbitMQ: %d %s", n.name, status, body)
			}
			if status, body := n.get("/healthz"); status != http.StatusOK {
				t.Errorf("/healthz of %s without RabbitMQ: %d %s", n.name, status, body)
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
func saysOutage(t *testing.T, n *node, lost int) {
	t.Helper()
	await(t, func() error { // it adds up for some seconds
		sum := 0
		for _, line := range n.log.lines("messages were lost") {
			_, count, _ := strings.Cut(line, "count=")
			number, err := strconv.Atoi(count)
			if err != nil {
				t.Fatal(err)
			}
			sum += number
		}
		if sum != lost {
			return fmt.Errorf("%s logged %d lost messages of %d", n.name, sum, lost)
		}
		return nil
	})
	says(t, n, map[string]int{
		"attached to RabbitMQ": 2, "lost the link to RabbitMQ": 1, "connection refused": 1, "gap: ": 1, "guest:guest": 0,
	})
	if bad, good := n.log.lines("can't publish"), n.log.lines("publishing to RabbitMQ again"); len(bad) != len(good) {
		t.Errorf("%s logged %q, and then %q", n.name, bad, good)
	}
}

// says checks how many lines of a node's log hold each of the parts, and that
// no warning came twice.
func says(t *testing.T, n *node, parts map[string]int) {
	t.Helper()
	for part, want := range parts {
		if lines := n.log.lines(part); len(lines) != want {
			t.Errorf("%s logged %q %d times, want %d", n.name, part, len(lines), want)
		}
	}
	if again := n.log.twice(); len(again) > 0 {
		t.Errorf("%s logged more than once: %q", n.name, again)
	}
}

// Without RabbitMQ a node starts, says what is wrong and takes clients. What
// they send waits for RabbitMQ to appear.
func TestBrokerAbsent(t *testing.T) {
	const clients, publishers, messages, password = 5, 3, 1000, "Tr0ub4dor&3"
	b := amqptest.New(t, amqptest.Options{})
	ctl(t, b, "add_user", "warren", password)
	ctl(t, b, "set_permissions", "warren", ".*", ".*", ".*")
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}

	n := startNode(t, "early", b.URLFor("warren", password, "/"), reconnects)
	n.awaitUnready("unavailable", b.Addr(), "connection refused")
	if _, body := n.get("/readyz"); strings.Contains(body, "Tr0ub4dor") {
		t.Errorf("/readyz shows the password: %s", body)
	}
	if status, body := n.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d %s", status, body)
	}
	all := joinMany(t, n, "/ws/room", clients)
	talkers := publish(all[:publishers], 0)
	for _, p := range talkers {
		if err := p.sendMany(messages); err != nil { // more than the window, less than the sockets hold
			t.Fatal(err)
		}
	}
	restart(t, b)
	n.awaitReady()
	awaitLast(t, all, talkers)
	newProgram(t, b).say("room", lastWord)
	dismissed(t, all)
	wantAll(t, all, talkers)

	says(t, n, map[string]int{
		"attached to RabbitMQ": 1, "connection refused": 1, "gap: ": 0, "lost the link": 0, "Tr0ub4dor": 0,
	})
}
