package amqptest

import (
	"context"
	"io"
	"testing"
	"time"
)

// startTimeout is generous: machines that run tests are busy.
const startTimeout = 2 * time.Minute

// New runs a node for the length of a test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	return during(t, func(ctx context.Context) (*Server, error) { return Start(ctx, t.TempDir(), o) })
}

// NewCluster runs n nodes for the length of a test.
func NewCluster(t testing.TB, n int, o Options) *Cluster {
	t.Helper()
	return during(t, func(ctx context.Context) (*Cluster, error) { return StartCluster(ctx, t.TempDir(), n, o) })
}

func during[T io.Closer](t testing.TB, start func(context.Context) (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	c, err := start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
