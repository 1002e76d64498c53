package gateway_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"warren/gateway"
)

// Connections that come and go, in every way there is, on descriptors that are
// used again at once, never see a frame that was meant for another.
func TestChurn(t *testing.T) {
	const workers, rounds = 8, 250
	n := start(t, gateway.Options{Shards: 3}, nil)
	witness := openRaw(t, n, "/ws/witness")
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range rounds {
				if err := comeAndGo(t, n, fmt.Sprintf("%d-%d", w, i), i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	witness.put(masked(rawFin|rawText, "witness 0"))
	witness.expectFrame(rawFin|rawText, "witness 0") // its first
	st := awaitStats(t, n, "all others have left", func(st gateway.Stats) bool {
		return st.Connections == 1 && st.LogBytes == 0
	})
	if st.Clients != 1 || st.Channels != 1 || st.Inbound != 0 {
		t.Errorf("left behind: %+v", st)
	}
}

// comeAndGo sends on a channel of its own and reads some of it.
func comeAndGo(t *testing.T, n *node, channel string, i int) error {
	l := listen(t, n, "/ws/"+channel, 64<<10)
	const sent = 10
	var frames strings.Builder
	for j := range sent {
		frames.WriteString(masked(rawFin|rawText, fmt.Sprintf("%s %d", channel, j)))
	}
	if i%3 == 0 {
		frames.WriteString(masked(rawFin|rawClose, closeBody(1000, "")))
	}
	if _, err := l.conn.Write([]byte(frames.String())); err != nil {
		return fmt.Errorf("%s: %w", channel, err)
	}
	if i%3 != 0 {
		for j := range 1 + i%sent {
			b, err := l.next()
			if want := fmt.Sprintf("%s %d", channel, j); err != nil || string(b) != want {
				return fmt.Errorf("instead of %q: %q, %w", want, b, err)
			}
		}
		return l.conn.Close() // with frames unread: a reset
	}
	for {
		b, err := l.next()
		if err != nil {
			if _, ok := err.(closedError); !ok {
				return fmt.Errorf("%s: %w", channel, err)
			}
			return l.conn.Close()
		}
		if !strings.HasPrefix(string(b), channel+" ") {
			return fmt.Errorf("%s got %q", channel, b)
		}
	}
}
