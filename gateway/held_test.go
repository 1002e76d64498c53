package gateway_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"warren/gateway"
)

// While the exchange is busy, what clients send waits, first in the hold, then
// in TCP; pings are still answered; then all goes out in order.
func TestHeldBack(t *testing.T) {
	const messages = 2000
	r := newRecorder()
	r.setRoom(3)
	n := start(t, gateway.Options{}, r)
	to := <-r.to
	c := openRaw(t, n, "/ws/room")
	written := make(chan error, 1)
	go func() {
		for i := range messages {
			if _, err := c.Write([]byte(masked(rawFin|rawText, fmt.Sprintf("%01000d", i)))); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	if got := len(r.wait(within(t), 3)); got != 3 {
		t.Fatalf("%d published", got)
	}
	awaitStats(t, n, "the client is held", func(st gateway.Stats) bool { return st.Held == 1 })
	// It is still delivered to.
	to.Deliver(gateway.Message{Channel: "room", Payload: []byte("hello"), Text: true})
	c.expectFrame(rawFin|rawText, "hello")
	for i := 3; i < messages; {
		r.setRoom(7)
		to.Ready()
		i = min(i+7, messages)
		if got := len(r.wait(within(t), i)); got != i {
			t.Fatalf("%d published, want %d", got, i)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	for i, m := range r.wait(within(t), messages) {
		if want := fmt.Sprintf("%01000d", i); string(m.Payload) != want || !m.Text || m.Channel != "room" || m.Client == 0 {
			t.Fatalf("message %d: %.30q, text %v, channel %q", i, m.Payload, m.Text, m.Channel)
		}
	}
	awaitStats(t, n, "nothing is kept", func(st gateway.Stats) bool { return st.Inbound == 0 })
}

// A client that is held back has its pings answered, and its close frame waits
// for its data.
func TestHeldPingAndClose(t *testing.T) {
	r := newRecorder()
	r.setRoom(0)
	n := start(t, gateway.Options{}, r)
	to := <-r.to
	c := openRaw(t, n, "/ws/room")
	c.put(masked(rawFin|rawText, "one"), masked(rawFin|rawPing, "alive?"), masked(rawFin|rawText, "two"))
	c.expectFrame(rawFin|rawPong, "alive?")
	c.put(masked(rawFin|rawClose, closeBody(1000, "")))
	if err := c.CloseWrite(); err != nil { // nothing may follow; it still reads
		t.Fatal(err)
	}
	awaitStats(t, n, "both messages are held", func(st gateway.Stats) bool { return st.Received == 2 })
	if got := r.wait(cancelled(), 1); len(got) != 0 {
		t.Fatalf("%d published early", len(got))
	}
	r.setRoom(-1)
	to.Ready()
	c.expectClose(1000)
	c.expectEnd()
	got := r.wait(within(t), 2)
	if string(got[0].Payload) != "one" || string(got[1].Payload) != "two" {
		t.Errorf("published %q, %q", got[0].Payload, got[1].Payload)
	}
}

// What was read is published, even if its sender has left meanwhile.
func TestHeldThenGone(t *testing.T) {
	r := newRecorder()
	r.setRoom(0)
	n := start(t, gateway.Options{}, r)
	to := <-r.to
	first, second := openRaw(t, n, "/ws/a"), openRaw(t, n, "/ws/b")
	first.put(masked(rawFin|rawText, "first"))
	awaitStats(t, n, "it is held", func(st gateway.Stats) bool { return st.Received == 1 })
	second.put(masked(rawFin|rawText, "second"))
	awaitStats(t, n, "both are held", func(st gateway.Stats) bool { return st.Received == 2 })
	_ = first.SetLinger(0) // a reset
	_ = first.Close()
	_ = second.Close()
	awaitStats(t, n, "both have left", func(st gateway.Stats) bool { return st.Connections == 0 })
	r.setRoom(-1)
	to.Ready()
	sent := map[string]string{}
	for _, m := range r.wait(within(t), 2) {
		sent[m.Channel] = string(m.Payload)
	}
	if sent["a"] != "first" || sent["b"] != "second" {
		t.Errorf("published %v", sent)
	}
	awaitStats(t, n, "nothing is kept", func(st gateway.Stats) bool { return st.Inbound == 0 })
}

// While the exchange takes nothing, what clients send is bounded on the node:
// they are read from no more, and none is closed.
func TestHeldMemory(t *testing.T) {
	const clients, budget = 64, 1 << 20
	r := newRecorder()
	r.setRoom(0)
	n := start(t, gateway.Options{Memory: gateway.MemoryOptions{Inbound: budget}}, r)
	to := <-r.to
	written := make(chan error, clients)
	for i := range clients {
		c := openRaw(t, n, fmt.Sprintf("/ws/%d", i))
		go func() { // 64 MB in all
			for range 1000 {
				if _, err := c.Write([]byte(masked(rawFin|rawBinary, string(make([]byte, 1000))))); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
	}
	st := awaitStats(t, n, "many are held", func(st gateway.Stats) bool { return st.Held == clients })
	if st.Inbound > budget || st.InboundFull != 0 {
		t.Errorf("%d bytes kept, %d times full", st.Inbound, st.InboundFull)
	}
	r.setRoom(-1)
	to.Ready()
	for range clients {
		select {
		case err := <-written:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("a client is held for ever")
		}
	}
	if got := len(r.wait(within(t), clients*1000)); got != clients*1000 {
		t.Errorf("%d messages published", got)
	}
	if st := n.Stats(); st.Closed[1013] != 0 {
		t.Errorf("%d clients closed for want of memory", st.Closed[1013])
	}
}

// Incomplete messages are bounded on the node; whoever holds the most of them
// goes first.
func TestIncompleteMemory(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Shards: 1, Memory: gateway.MemoryOptions{Inbound: 100 << 10}}, r)
	most := openRaw(t, n, "/ws")
	most.put(masked(rawBinary, string(make([]byte, 60_000)))) // a fragment, more to come
	awaitStats(t, n, "it is kept", func(st gateway.Stats) bool { return st.Inbound > 60_000 })
	less := openRaw(t, n, "/ws")
	less.put(masked(rawBinary, string(make([]byte, 50_000))))
	most.expectFailed(1013)
	less.put(masked(rawFin|rawCont, "end"))
	if got := r.wait(within(t), 1); len(got) != 1 || len(got[0].Payload) != 50_003 {
		t.Errorf("%d messages published", len(got))
	}
	if st := n.Stats(); st.InboundFull == 0 {
		t.Error("the limit was not counted")
	}
	_ = most.Close()
	awaitStats(t, n, "nothing is kept", func(st gateway.Stats) bool { return st.Inbound == 0 })
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
