package haproxytest

import (
	"context"
	"testing"
	"time"
)

// startLimit is generous: two checks of each node on a busy machine.
const startLimit = time.Minute

// New starts HAProxy in plain form for a test, on a free port, and ends it with
// the test.
func New(t testing.TB, nodes [2]string) *Proxy {
	t.Helper()
	return Run(t, Options{Nodes: nodes})
}

// Run starts HAProxy for a test and ends it with the test.
func Run(t testing.TB, o Options) *Proxy {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	p, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("HAProxy printed:\n%s", p.Output())
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}
