package e2e_test

import (
	"errors"
	"strings"
	"testing"
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
	b := broker(t)
	// Time for the frozen client to thaw before it is reset.
	n := readyNode(t, "node", b.URL(), "clients: {max_lag: 256KiB, close_timeout: 60s}")
	frozen := open(t, n, "/ws/room", 128<<10)
	others := joinMany(t, n, "/ws/room", clients)
	talkers := publish(others[:publishers], 0)
	for _, p := range talkers {
		p.pad = " " + strings.Repeat(".", size)
	}
	for range rounds {
		for _, p := range talkers {
			if err := p.sendMany(batch); err != nil {
				t.Fatal(err)
			}
		}
		awaitLast(t, others, talkers)
	}
	newProgram(t, b).say("room", lastWord)
	dismissed(t, others)
	wantAll(t, others, talkers)

	err := frozen.listen()
	if closed := (closedError{}); !errors.As(err, &closed) || closed.code != 1013 || closed.reason != "slow consumer" {
		t.Errorf("the frozen client's end: %v, want 1013", err)
	}
	frozen.wantFirst(t, talkers, repeat(1, talkers))
	if got := frozen.total(); got > rounds*batch*publishers/2 {
		t.Errorf("the frozen client got %d messages: it was not slow", got)
	}
}
