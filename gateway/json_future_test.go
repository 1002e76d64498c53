package gateway_test

import (
	"errors"
	"testing"

	"warren/gateway"
)

// A subscription may name a message that other nodes have delivered already: it
// waits until it comes, the client's others go on.
func TestJSONFuture(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	for i := range 10 {
		to.Deliver(streamed("room", i))
	}
	openJSON(t, n, "/ws?since="+streamID(900).String()).quiet() // it subscribes to nothing
	c := openJSON(t, n, "/ws/other")
	c.says(subscribed("other", streamPlace(9), false))
	c.subscribe("room", streamID(15))
	c.subscribe("hall", streamPlace(17)) // a position
	c.subscribe("left", streamID(18))
	c.subscribe("root", gateway.ID{Offset: streamID(16).Offset, Check: 999}) // of no message, as will turn out
	awaitStats(t, n, "they wait", func(st gateway.Stats) bool { return st.Awaited == 4 })
	c.ask(`{"type":"ping"}`, `{"type":"subscribe","channel":"room"}`, `{"type":"unsubscribe","channel":"left"}`, `{"type":"unsubscribe","channel":"left"}`)
	c.says(`{"type":"pong"}`) // who waits is behind
	if a := c.answer("error"); a.Code != "already_subscribed" {
		t.Errorf("got %s", a.whole)
	}
	c.says(`{"type":"unsubscribed","channel":"left"}`)
	if a := c.answer("error"); a.Code != "not_subscribed" {
		t.Errorf("got %s", a.whole)
	}
	to.Deliver(streamed("other", 10))
	c.says(heard("other", 10))
	for i := 11; i < 20; i++ {
		to.Deliver(streamed("room", i))
	}
	places := map[string]string{
		"room": subscribed("room", streamID(15), false), "hall": subscribed("hall", streamPlace(17), false),
		"root": subscribed("root", streamPlace(19), true),
	}
	next := 16
	for len(places) > 0 || next < 20 {
		a, err := c.read()
		switch {
		case err == nil && a.whole == places[a.Channel]:
			delete(places, a.Channel)
		case err == nil && places["room"] == "" && a.whole == heard("room", next):
			next++
		default:
			t.Fatalf("got %s, %v", a.whole, err)
		}
	}
	c.ask(`{"type":"ping"}`)
	if a := c.answer("pong"); a.ID != streamPlace(19).String() {
		t.Errorf("got %s", a.whole)
	}
	// Who leaves while it waits leaves nothing behind.
	c.subscribe("more", streamID(40))
	awaitStats(t, n, "it waits", func(st gateway.Stats) bool { return st.Awaited == 5 })
	_ = c.Close()
	for i := 20; i < 50; i++ {
		to.Deliver(streamed("more", i))
	}
	awaitStats(t, n, "nobody listens", func(st gateway.Stats) bool { return st.Channels == 0 })
}

// What doesn't come in time is unknown, but not while the node can't know.
func TestJSONFutureNever(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	set := func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.status = err
	}
	for i := range 10 {
		to.Deliver(streamed("room", i))
	}
	set(errors.New("no link"))
	c, wait := openJSON(t, n, "/ws"), openJSON(t, n, "/ws")
	c.subscribe("room", streamID(20))
	awaitStats(t, n, "it waits", func(st gateway.Stats) bool { return st.Awaited == 1 })
	// Another that is in time, to know that the first one's is over.
	set(nil)
	wait.subscribe("room", streamID(21))
	if a := wait.answer("subscribed"); !a.Gap || a.ID != "" {
		t.Errorf("got %s", a.whole)
	}
	if a := c.answer("subscribed"); !a.Gap {
		t.Errorf("got %s", a.whole)
	}
	for i := range 10 {
		c.says(heard("room", i))
		wait.says(heard("room", i))
	}
	set(errors.New("no link"))
	late := openJSON(t, n, "/ws")
	late.subscribe("room", streamID(30))
	awaitStats(t, n, "it waits", func(st gateway.Stats) bool { return st.Awaited == 3 })
	for i := 10; i < 33; i++ {
		to.Deliver(streamed("room", i))
	}
	late.says(subscribed("room", streamID(30), false), heard("room", 31), heard("room", 32))
}

// While the node has no link the wait has no end.
func TestJSONFutureUnlinked(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	to.Deliver(streamed("room", 0))
	r.mu.Lock()
	r.status = errors.New("no link")
	r.mu.Unlock()
	c := openJSON(t, n, "/ws")
	c.subscribe("room", streamID(5))
	awaitStats(t, n, "it waits", func(st gateway.Stats) bool { return st.Awaited == 1 })
	// A handshake, whose wait has one, is refused meanwhile.
	conn := connectRaw(t, n)
	conn.put(upgradeHead("/ws/room?since=" + streamID(5).String()))
	conn.expectRefusal(503)
	c.ask(`{"type":"ping"}`)
	c.says(`{"type":"pong"}`)
	for i := 1; i < 8; i++ {
		to.Deliver(streamed("room", i))
	}
	c.says(subscribed("room", streamID(5), false), heard("room", 6), heard("room", 7))
}
