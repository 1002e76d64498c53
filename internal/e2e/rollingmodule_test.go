package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"warren/haproxy/haproxytest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// Clients of the JavaScript client go through a rolling restart behind HAProxy:
// each node that stops sends them away with 1012, one after the other, they come
// back to the other node by themselves, and nothing is lost of what they hear or
// publish.
func TestRollingRestartModule(t *testing.T) {
	const clients, programs, rounds = 20, 2, 2
	b := rigtest.Broker(t)
	var nodes []*rigtest.Node
	for _, name := range []string{"one", "two"} {
		nodes = append(nodes, rigtest.ReadyNode(t, name, b.URL(), keeps+"clients: {close_timeout: 60s}\ndrain: {delay: 0s, period: 1s}\n"))
	}
	proxy := haproxytest.New(t, [2]string{nodes[0].Addr(), nodes[1].Addr()})
	channel := func(i int) string { return fmt.Sprint("channel", i%programs) }
	crowd := rigtest.NewCrowd(t, nodes[0])
	var all []rig.CrowdClient
	for i := range clients {
		c := rig.CrowdClient{ID: programs + i, URL: "ws://" + proxy.Addr() + "/ws", Channels: []string{channel(i)}, Channel: channel(i)}
		if i%5 == 0 {
			c.Channels = []string{channel(i), channel(i + 1), ""}
		}
		all = append(all, c)
	}
	crowd.Join(all...)
	sources := map[string]rig.Source{}
	for i := range programs {
		p := rig.StartProgram(rig.ProgramOptions{
			URLs: []string{b.URL()}, Exchange: rigtest.Exchange(t), Stream: rigtest.Stream(t), Channel: channel(i), ID: i, Every: 10 * time.Millisecond,
		})
		t.Cleanup(p.Cut)
		sources[channel(i)] = p
	}
	crowd.Talk(100)
	crowd.AwaitNew(20)
	for round := range rounds * len(nodes) {
		n := nodes[round%len(nodes)]
		rigtest.Check(t, n.Stop(rigtest.Patience))
		crowd.AwaitNew(20)
		n.Restart()
		n.AwaitReady()
		seenUp(t, proxy, round%len(nodes)+1)
	}
	crowd.Hush()
	for channel, p := range sources {
		ctx, cancel := rigtest.Context(t)
		rigtest.Check(t, p.(*rig.Program).Stop(ctx))
		cancel()
		rigtest.Say(t, b.URL(), channel, rig.LastWord)
	}
	reports := crowd.Report()
	t.Log(rigtest.Sums(reports))
	rigtest.WantHeard(t, reports, sources, func(id int) string { return channel(id - programs) })
	var codes []int
	for _, r := range reports {
		codes = append(codes, r.Closes...)
	}
	if slices.Sort(codes); len(codes) < clients*(rounds*len(nodes)-1) || codes[0] != int(rig.Restarts) || codes[len(codes)-1] != int(rig.Restarts) {
		t.Errorf("connections ended with %v; want 1012 each time that a node stopped", codes)
	}
	for _, n := range nodes {
		if lines := slices.Concat(n.Log.Lines("not all messages reached"), n.Log.Lines(`msg="gap: `)); len(lines) > 0 {
			t.Errorf("%s logged %q", n.Name, lines)
		}
	}
}

// seenUp waits until HAProxy gives clients to a node.
func seenUp(t *testing.T, p *haproxytest.Proxy, node int) {
	t.Helper()
	ctx, cancel := rigtest.Context(t)
	defer cancel()
	rigtest.Check(t, p.Await(ctx, node, true))
}

// seenDown waits until HAProxy has found out by its check that a node is gone.
func seenDown(t *testing.T, p *haproxytest.Proxy, node int) {
	t.Helper()
	ctx, cancel := rigtest.Context(t)
	defer cancel()
	rigtest.Check(t, p.AwaitServer(ctx, node, "down", func(s haproxytest.Server) bool { return !s.Up() }))
}
