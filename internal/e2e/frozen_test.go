package e2e_test

import (
	"errors"
	"strings"
	"testing"

	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// A client that reads nothing delays nobody: the others get each batch before
// the next is sent, and far more than the frozen client may lag. It is closed.
func TestFrozenClient(t *testing.T) {
	const (
		clients    = 20
		publishers = 2 // of these
		rounds     = 40
		batch      = 50 // from each publisher
		size       = 1 << 10
	)
	b := rigtest.Broker(t)
	// Time for the frozen client to thaw before it is reset.
	n := rigtest.ReadyNode(t, "node", b.URL(), "clients: {max_lag: 256KiB, close_timeout: 60s}")
	frozen := rigtest.Open(t, n, "/ws/room", rig.ClientOptions{Kernel: 128 << 10})
	others := rigtest.JoinMany(t, n, "/ws/room", clients, rig.ClientOptions{})
	talkers := rig.Senders(others[:publishers], 0)
	for _, p := range talkers {
		p.Pad = " " + strings.Repeat(".", size)
	}
	for range rounds {
		for _, p := range talkers {
			if err := p.SendMany(batch); err != nil {
				t.Fatal(err)
			}
		}
		rigtest.AwaitLast(t, others, talkers)
	}
	rigtest.Dismiss(t, b.URL(), "room", others)
	rigtest.WantAll(t, others, talkers)

	frozen.Listen()
	if closed := (*rig.ClosedError)(nil); !errors.As(frozen.Err(), &closed) || closed.Code != 1013 || closed.Reason != "slow consumer" {
		t.Errorf("the frozen client's end: %v, want 1013", frozen.Err())
	}
	rigtest.WantFirst(t, frozen, talkers, rigtest.Repeat(1, talkers))
	if got := frozen.Total(); got > rounds*batch*publishers/2 {
		t.Errorf("the frozen client got %d messages: it was not slow", got)
	}
}
