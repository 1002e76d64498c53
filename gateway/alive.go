package gateway

import (
	"context"
	"fmt"
)

// Alive is nil once every event loop has come round, or says which have not when
// ctx ends. Any goroutine, once Serve runs.
func (g *Gateway) Alive(ctx context.Context) error {
	silent := map[int]bool{}
	answers := make(chan int, len(g.shards)) // room for all: no shard blocks
	for _, s := range g.shards {
		silent[s.number] = true
		s.post(note{kind: noteAnswer, answer: answers})
	}
	for len(silent) > 0 {
		select {
		case number := <-answers:
			delete(silent, number)
		case <-ctx.Done():
			return fmt.Errorf("%d of %d event loops don't answer: %w", len(silent), len(g.shards), ctx.Err())
		}
	}
	return nil
}
