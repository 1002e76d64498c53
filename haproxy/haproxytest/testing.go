package haproxytest

import (
	"context"
	"testing"
	"time"
)

// startLimit is generous: two checks of each node on a busy machine.
const startLimit = time.Minute

// New starts HAProxy for a test, on a free port, and ends it with the test.
func New(t testing.TB, nodes [2]string) *Proxy {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	p, err := Start(ctx, Options{Nodes: nodes})
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
