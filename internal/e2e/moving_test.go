package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"warren/haproxy"
	"warren/haproxy/haproxytest"
	"warren/internal/port"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// front is two nodes behind HAProxy, with agents.
type front struct {
	nodes [2]*rigtest.Node
	proxy *haproxytest.Proxy
	pulse *rigtest.Pulse // of the machine, by questions to HAProxy
}

// newFront returns once both nodes are ready, and HAProxy knows. config is the
// nodes', but for what they tell HAProxy: that they are full at capacity clients,
// if that isn't 0; and for what the form of its configuration asks of them.
func newFront(t *testing.T, form haproxytest.Form, amqpURL, config string, capacity int) *front {
	t.Helper()
	f := &front{}
	if form == haproxytest.Production {
		config += "proxy: {protocol: true, trusted: [127.0.0.1]}\n"
	}
	// Here all clients come from one address, and back soon.
	o := haproxytest.Options{Form: form, Env: []string{haproxy.EnvConnRate + "=100000"}}
	for i, name := range []string{"one", "two"} {
		agent, err := port.Reserve()
		rigtest.Check(t, err)
		t.Cleanup(agent.Release)
		f.nodes[i] = rigtest.StartNode(t, name, amqpURL, fmt.Sprintf("%shaproxy: {agent_listen: %q, capacity: %d}\n", config, agent.Addr(), capacity))
		o.Nodes[i], o.Agents[i] = f.nodes[i].Addr(), agent.Addr()
	}
	for _, n := range f.nodes {
		n.AwaitReady()
	}
	f.proxy = haproxytest.Run(t, o)
	f.pulse = rigtest.NewPulse(t, func() { _, _ = f.proxy.Command("show info") })
	for i := range f.nodes {
		seenUp(t, f.proxy, i+1)
	}
	return f
}

// other is the node beside nodes[i].
func (f *front) other(i int) *rigtest.Node { return f.nodes[1-i] }

// Both nodes are stopped and started again behind HAProxy, one after the other,
// with 500 clients there, and event streams, that are sent messages all the time,
// over TLS. Those who are told to move are back at once, at the first attempt, and
// nobody lacks a message.
func TestRollingRestartUnnoticed(t *testing.T) {
	const nomads, wanderers = 500, 20
	b := rigtest.Broker(t)
	f := newFront(t, haproxytest.Production, b.URL(), keeps+"drain: {delay: 2s, period: 3s}\n", 0)
	camp := rigtest.NewCamp(t, b, f.proxy.Addr(), 100*time.Millisecond, rig.CampOptions{TLS: f.proxy.TLS(), Nomads: nomads, Talkers: 5, Pace: time.Second})
	streams := wander(t, f.proxy, wanderers)
	camp.AwaitNew(5)
	due := 0 // moves
	for i, n := range f.nodes {
		there := camp.On(n)
		if there < nomads/4 {
			t.Errorf("%d of %d clients are on %s", there, nomads, n.Name)
		}
		due += there
		rigtest.Check(t, n.Stop(rigtest.Patience))
		rigtest.Check(t, n.Err())
		camp.AwaitOn(f.other(i), nomads)
		camp.AwaitNew(5)
		n.Restart()
		n.AwaitReady()
		seenUp(t, f.proxy, i+1)
	}
	camp.End()
	moves := camp.Moves()
	if len(moves) != due {
		t.Errorf("clients moved %d times, want %d", len(moves), due)
	}
	rigtest.WantTold(t, moves, rig.Restarts, "the node drains: come back now")
	rigtest.WantTaken(t, moves)
	rigtest.WantSoon(t, moves, time.Second, f.pulse)
	wantHome(t, streams, append(camp.Sources(), camp.Program), time.Second, f.pulse)
}

// A node is killed behind HAProxy. Its clients come back at once, and are on the
// other node before HAProxy has found out by its check. Nobody lacks a message.
func TestKillUnnoticed(t *testing.T) {
	const nomads = 100
	b := rigtest.Broker(t)
	f := newFront(t, haproxytest.Production, b.URL(), keeps, 0)
	camp := rigtest.NewCamp(t, b, f.proxy.Addr(), 10*time.Millisecond, rig.CampOptions{TLS: f.proxy.TLS(), Nomads: nomads})
	camp.AwaitNew(5)
	killed := f.nodes[0]
	there := camp.On(killed)
	if there < nomads/4 {
		t.Errorf("%d of %d clients are on %s", there, nomads, killed.Name)
	}
	began := time.Now()
	killed.Kill()
	camp.AwaitOn(f.nodes[1], nomads)
	moved := time.Since(began)
	seenDown(t, f.proxy, 1)
	t.Logf("%d clients moved within %v; HAProxy took the node out %v after it was killed",
		there, moved.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	camp.AwaitNew(5)
	moves := camp.Moves()
	if len(moves) != there {
		t.Errorf("clients moved %d times, want %d", len(moves), there)
	}
	for _, m := range moves {
		if closed := (*rig.ClosedError)(nil); errors.As(m.Why, &closed) {
			t.Errorf("a client of the killed node was told %v", m.Why)
		}
	}
	rigtest.WantTaken(t, moves)
	rigtest.WantSoon(t, moves, time.Second, f.pulse)
	camp.End()
}

// A node is drained by an operator, behind HAProxy: its clients move to the other,
// evenly over the time that they are given. The node stays, is taken back, and gets
// clients again when the other is drained.
func TestDrainByHand(t *testing.T) {
	const (
		nomads = 200
		period = 3 * time.Second
	)
	b := rigtest.Broker(t)
	f := newFront(t, haproxytest.Plain, b.URL(), keeps+fmt.Sprintf("drain: {delay: 2s, period: %v}\n", period), 0)
	camp := rigtest.NewCamp(t, b, f.proxy.Addr(), 100*time.Millisecond, rig.CampOptions{Nomads: nomads, Talkers: 5, Pace: time.Second})
	camp.AwaitNew(5)
	seen := 0 // moves
	for i, n := range f.nodes {
		there := camp.On(n)
		if there < nomads/4 {
			t.Errorf("%d of %d clients are on %s", there, nomads, n.Name)
		}
		wantDrain(t, n, http.MethodGet, rig.Drain{Status: 200, Phase: "serving", Clients: there})
		wantDrain(t, n, http.MethodPost, rig.Drain{Status: 202, Phase: "announced", Clients: there})
		n.AwaitUnready("the node is draining")
		camp.AwaitOn(f.other(i), nomads)
		moves := camp.Moves()[seen:]
		seen += len(moves)
		if len(moves) != there {
			t.Errorf("clients of %s moved %d times, want %d", n.Name, len(moves), there)
		}
		rigtest.WantTold(t, moves, rig.Restarts, "the node drains: come back now")
		rigtest.WantTaken(t, moves)
		rigtest.WantSoon(t, moves, time.Second, f.pulse)
		wantEven(t, moves, period, f.pulse)

		camp.AwaitNew(5)
		awaitEmpty(t, n)
		wantDrain(t, n, http.MethodDelete, rig.Drain{Status: 200, Phase: "serving", Clients: 0})
		n.AwaitReady()
		seenUp(t, f.proxy, i+1)
	}
	camp.End()
}

// wantDrain asks the admin listener for the drain, or to change it.
func wantDrain(t *testing.T, n *rigtest.Node, method string, want rig.Drain) {
	t.Helper()
	ctx, cancel := rigtest.Context(t)
	defer cancel()
	got, err := n.Drain(ctx, method)
	rigtest.Check(t, err)
	if got != want {
		t.Errorf("%s /drain of %s: %+v, want %+v", method, n.Name, got, want)
	}
}

// awaitEmpty waits until a drained node has seen all its clients' ends.
func awaitEmpty(t *testing.T, n *rigtest.Node) {
	t.Helper()
	ctx, cancel := rigtest.Context(t)
	defer cancel()
	rigtest.Check(t, n.AwaitEmpty(ctx))
}

// wantEven checks that clients were told to move evenly over a time: how evenly
// is measured elsewhere, with more of them and nothing else on the machine.
func wantEven(t *testing.T, moves []rig.Move, period time.Duration, machine *rigtest.Pulse) {
	t.Helper()
	const parts = 4
	first, last := moves[0].Told, moves[len(moves)-1].Told
	took, slack := last.Sub(first), rigtest.RoundTrips*machine.Slowest()
	if took < period*3/4-slack || took > period*5/4+slack {
		t.Errorf("clients were told to move within %v, want %v", took, period)
	}
	var shares [parts]int
	for _, m := range moves {
		shares[min(int(m.Told.Sub(first)*parts/(took+1)), parts-1)]++
	}
	t.Logf("told to move in each quarter of %v: %d", took.Round(time.Millisecond), shares)
	late := int(int64(len(moves)) * int64(slack) / int64(period)) // that may be told in another quarter
	for _, share := range shares {
		if even := len(moves) / parts; share < even/2-late || share > even*2+late {
			t.Errorf("clients that were told to move in each quarter of %v: %d, want about %d", took, shares, even)
			return
		}
	}
}
