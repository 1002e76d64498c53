package haproxytest

import (
	"context"
	"fmt"
	"time"
)

// awaitChecks waits until every node has been checked and one is ready.
func (p *Proxy) awaitChecks(ctx context.Context) error {
	return p.await(ctx, "its checks to find a node ready", func() (bool, any, error) {
		nodes, err := p.Nodes()
		ready := false
		for _, n := range nodes {
			if !n.checked() {
				return false, nodes, err
			}
			ready = ready || n.Up
		}
		return ready, nodes, err
	})
}

// Await waits until HAProxy sees node 1 or 2 as up, or as down.
func (p *Proxy) Await(ctx context.Context, node int, up bool) error {
	what := fmt.Sprintf("node%d to be %s", node, map[bool]string{true: "up", false: "down"}[up])
	return p.await(ctx, what, func() (bool, any, error) {
		nodes, err := p.Nodes()
		return err == nil && nodes[node-1].Up == up, nodes, err
	})
}

// AwaitServer waits until ok holds for node 1 or 2. what is for the error.
func (p *Proxy) AwaitServer(ctx context.Context, node int, what string, ok func(Server) bool) error {
	return p.await(ctx, fmt.Sprintf("node%d %s", node, what), func() (bool, any, error) {
		servers, err := p.Servers()
		return err == nil && ok(servers[node-1]), servers, err
	})
}

// await asks until ok says so; what it saw last is for the error.
func (p *Proxy) await(ctx context.Context, what string, ok func() (done bool, saw any, err error)) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		done, saw, err := ok()
		if done && err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.process.Done():
			return fmt.Errorf("HAProxy ended (%v): %s", p.process.Err(), p.output.tail())
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%+v", saw)
			}
			return fmt.Errorf("waiting for %s: %w (last: %v); HAProxy says: %s", what, ctx.Err(), err, p.output.tail())
		}
	}
}
