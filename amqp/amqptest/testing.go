package amqptest

import (
	"context"
	"testing"
	"time"
)

// startTimeout is generous: machines that run tests are busy.
const startTimeout = 2 * time.Minute

// New runs a node for the length of a test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s, err := Start(ctx, t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
