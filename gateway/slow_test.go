package gateway_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"warren/gateway"
)

// smallWindow is a receive buffer that is soon full. (Below the MTU of loopback,
// 64 KiB, TCP crawls from one window probe to the next.)
const smallWindow = 128 << 10

// numbered is message i of so many bytes.
func numbered(i, size int) []byte {
	b := bytes.Repeat([]byte{'.'}, size)
	binary.BigEndian.PutUint32(b, uint32(i))
	return b
}

func number(b []byte) int { return int(binary.BigEndian.Uint32(b)) }

// awaitStats waits for a condition on the counters.
func awaitStats(t *testing.T, n *node, what string, ok func(gateway.Stats) bool) gateway.Stats {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx := within(t)
	for {
		st := n.Stats()
		if ok(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s; at last %+v", what, st)
		}
	}
}

// A client that reads nothing doesn't delay the others: they get every message
// before the next is sent. It is closed once it is too far behind.
func TestFrozenClient(t *testing.T) {
	const readers, messages, size = 20, 400, 8 << 10
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 256 << 10, CloseTimeout: 3 * patience}}, r)
	to := <-r.to
	frozen := listen(t, n, "/ws/room", smallWindow)
	var others []*listener
	for range readers {
		others = append(others, listen(t, n, "/ws/room", smallWindow))
	}
	for i := range messages {
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, size)})
		for _, l := range others {
			b, err := l.next()
			if err != nil || number(b) != i {
				t.Fatalf("instead of message %d: %d bytes, %v", i, len(b), err)
			}
		}
	}
	st := awaitStats(t, n, "the frozen client is closed", func(st gateway.Stats) bool { return st.Evicted == 1 })
	if st.Closed[1013] != 1 || st.Skips != 0 {
		t.Errorf("closed: %v, skips: %d", st.Closed, st.Skips)
	}
	got := 0
	for {
		b, err := frozen.next()
		if closed := (closedError{}); errors.As(err, &closed) {
			if closed.code != 1013 || closed.reason != "slow consumer" {
				t.Error(err)
			}
			break
		}
		if err != nil || len(b) != size || number(b) != got {
			t.Fatalf("instead of message %d: %d bytes, %v", got, len(b), err)
		}
		got++
	}
	if got == 0 || got == messages {
		t.Errorf("the frozen client got %d of %d messages", got, messages)
	}
}

// With the policy to skip, a slow client keeps its connection and whole frames,
// and every message it misses is counted.
func TestSkip(t *testing.T) {
	const messages, size = 600, 8 << 10
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 128 << 10, Slow: gateway.SlowSkip}}, r)
	to := <-r.to
	slow, quick := listen(t, n, "/ws/room", smallWindow), listen(t, n, "/ws/room", smallWindow)
	deliver := func(i int) {
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, size)})
		if b, err := quick.next(); err != nil || number(b) != i {
			t.Fatalf("instead of message %d: %d bytes, %v", i, len(b), err)
		}
	}
	for i := range messages {
		deliver(i)
	}
	awaitStats(t, n, "the slow client is skipped", func(st gateway.Stats) bool { return st.Skips > 0 })
	// Now it reads. Once it has caught up, it won't miss the last.
	got := 0
	done := make(chan error, 1)
	go func() {
		for last := -1; last < messages; got++ {
			b, err := slow.next()
			if err != nil || len(b) != size || number(b) <= last {
				done <- fmt.Errorf("after message %d: %d bytes, %w", last, len(b), err)
				return
			}
			last = number(b)
		}
		done <- nil
	}()
	awaitStats(t, n, "nobody lags", func(st gateway.Stats) bool { return st.LogBytes == 0 })
	deliver(messages)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	st := n.Stats()
	if missed := messages + 1 - got; uint64(missed) != st.Skipped || missed == 0 {
		t.Errorf("%d messages are missing, %d counted", missed, st.Skipped)
	}
	if st.Evicted != 0 {
		t.Errorf("%d evicted", st.Evicted)
	}
}

// A publisher that never pauses is held back; nobody who reads is closed.
func TestFlood(t *testing.T) {
	const readers, messages, size, batch = 100, 30_000, 512, 100
	// Of readers that get no processor for longer than it takes to lag by this,
	// nobody could know that they read.
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 4 << 20}}, nil)
	var listeners []*listener
	for range readers {
		listeners = append(listeners, listen(t, n, "/ws/room", smallWindow))
	}
	flood := listen(t, n, "/ws/room", smallWindow) // it hears itself, and must read
	var group sync.WaitGroup
	for _, l := range append(listeners, flood) {
		group.Go(func() {
			for i := range messages {
				b, err := l.next()
				if err != nil || number(b) != i {
					t.Errorf("instead of message %d: %v", i, err)
					return
				}
			}
		})
	}
	for i := 0; i < messages; i += batch {
		var frames bytes.Buffer
		for j := range batch {
			frames.WriteString(masked(rawFin|rawBinary, string(numbered(i+j, size))))
		}
		if _, err := flood.conn.Write(frames.Bytes()); err != nil {
			t.Error(err)
			break
		}
	}
	group.Wait()
	st := n.Stats()
	if st.Evicted != 0 || st.Shed != 0 {
		t.Errorf("evicted %d, shed %d", st.Evicted, st.Shed)
	}
	if st.Holds == 0 {
		t.Error("the source was never held back: this was no flood")
	}
	t.Logf("source held back %d times, publishers %d times", st.Holds, st.Held)
}

// The sum of what laggards keep alive is bounded over the node.
func TestMemoryLogs(t *testing.T) {
	const stuck, size, logs = 8, 16 << 10, 512 << 10
	r := newRecorder()
	n := start(t, gateway.Options{
		Clients: gateway.ClientOptions{MaxLag: 4 << 20},
		Memory:  gateway.MemoryOptions{Logs: logs},
	}, r)
	to := <-r.to
	for i := range stuck {
		listen(t, n, fmt.Sprintf("/ws/%d", i), smallWindow)
	}
	for range 40 { // 640 KiB a channel: below max_lag, above the sum
		for i := range stuck {
			to.Deliver(gateway.Message{Channel: fmt.Sprint(i), Payload: numbered(0, size)})
		}
	}
	st := awaitStats(t, n, "laggards are shed", func(st gateway.Stats) bool {
		return st.Shed > 0 && st.LogBytes <= logs
	})
	if st.Evicted != 0 {
		t.Errorf("%d evicted for their own lag", st.Evicted)
	}
}

// A lone client that stops reading holds the source back for a moment at most:
// its channel falls quiet, and still others are delivered to.
func TestFrozenAlone(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 256 << 10}}, r)
	to := <-r.to
	listen(t, n, "/ws/room", smallWindow)
	ctx := within(t)
	for i := range 200 { // 1.6 MB
		for hold := to.Hold(); hold != nil; hold = to.Hold() {
			select {
			case <-hold:
			case <-ctx.Done():
				t.Fatal("the source is held back for ever")
			}
		}
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, 8<<10)})
	}
	awaitStats(t, n, "the frozen client is closed", func(st gateway.Stats) bool { return st.Evicted == 1 })
}
