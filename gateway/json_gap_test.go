package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"warren/gateway"
)

// Lost messages are told in their order to those who can be: of each channel.
func TestJSONGapFrames(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(100), r)
	to := <-r.to
	c, root, sse, raw := openJSON(t, n, "/ws/a"), openJSON(t, n, "/ws"), openEvents(t, n, "/sse/a"), openRaw(t, n, "/ws/a")
	c.answer("subscribed")
	c.ask(`{"type":"subscribe","channel":"b"}`)
	c.answer("subscribed")
	root.ask(`{"type":"subscribe","channel":""}`)
	root.answer("subscribed")
	sse.event()
	to.Deliver(streamed("a", 0))
	to.Deliver(streamed("c", 1))
	to.Gap(gateway.Gap{Reason: "test"})
	c.says(heard("a", 0))
	from := fmt.Sprintf(`"from":"%v"`, streamPlace(1))
	gaps := map[string]bool{} // in whatever order
	for range 2 {
		gaps[c.answer("gap").whole] = true
	}
	for _, name := range []string{"a", "b"} {
		if want := `{"type":"gap","channel":"` + name + `",` + from + `}`; !gaps[want] {
			t.Errorf("got %v, want %s", gaps, want)
		}
	}
	to.Deliver(streamed("a", 2))
	c.says(heard("a", 2))
	root.says(heardAtRoot("a", 0), heardAtRoot("c", 1), `{"type":"gap","channel":"","root":true,`+from+`}`, heardAtRoot("a", 2))
	sse.expect(event{"", "0", streamID(0).String()}, event{"gap", "{" + from + "}", streamID(0).String()}, event{"", "2", streamID(2).String()})
	raw.expectFrame(rawFin|rawText, "0")
	raw.expectFrame(rawFin|rawText, "2")

	// One message that is too large, of its channel and of root.
	large := streamed("b", 3)
	large.Payload = make([]byte, 300<<10)
	to.Deliver(large)
	to.Deliver(streamed("b", 4))
	from = fmt.Sprintf(`"from":"%v"`, streamPlace(2))
	c.says(`{"type":"gap","channel":"b",`+from+`}`, heard("b", 4))
	root.says(`{"type":"gap","channel":"","root":true,`+from+`}`, heardAtRoot("b", 4))
	to.Deliver(streamed("a", 5))
	c.says(heard("a", 5))
	sse.expect(event{"", "5", streamID(5).String()})

	for path, gap := range map[string]bool{
		since("a", streamID(0)): true, since("a", streamPlace(0)): true, since("a", streamID(2)): false, since("a", streamPlace(2)): false,
		since("b", streamPlace(2)): true, since("b", streamID(4)): false, since("b", streamPlace(3)): false, since("a", streamPlace(3)): false,
	} {
		if a := openJSON(t, n, path).answer("subscribed"); a.Gap != gap {
			t.Errorf("%s: %s", path, a.whole)
		}
	}
}

// Behind lost messages the next one isn't known to be the first of its block:
// places have no name there but its own.
func TestJSONPlaceBehindGap(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(100), r)
	to := <-r.to
	to.Deliver(streamed("room", 0))
	to.Gap(gateway.Gap{Reason: "test"})
	c := openJSON(t, n, "/ws")
	for _, i := range []int{300, 301, 512, 513} {
		to.Deliver(streamed("room", i))
		want := streamID(i)
		if i > 511 {
			want = streamPlace(i)
		}
		c.ask(`{"type":"ping"}`)
		c.says(fmt.Sprintf(`{"type":"pong","id":"%v"}`, want))
	}
}

// With on_gap: close, who was there is closed behind what was before.
func TestJSONGapClose(t *testing.T) {
	f := jsonFlood{channels: []string{"a", "b", "c"}, count: 300, size: func(i int) int { return i * 20 }}
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{OnGap: gateway.GapClose, MaxLag: 64 << 20, CloseTimeout: patience}}, r)
	to := <-r.to
	c := openJSONWithin(t, n, "/ws", narrowWindow)
	sse := openEventsWithin(t, n, "/sse/a", narrowWindow)
	sse.event()
	none := openJSON(t, n, "/ws") // it listens to nothing
	left := map[string][]string{}
	for _, name := range f.channels {
		c.ask(`{"type":"subscribe","channel":"` + name + `"}`)
		c.answer("subscribed")
		left[name] = f.want(name, 0, f.count)
	}
	f.deliver(to, 0, f.count)
	awaitStats(t, n, "both are late", func(st gateway.Stats) bool { return st.LogBytes > 0 })
	to.Gap(gateway.Gap{Reason: "test"})
	f.deliver(to, f.count, f.count+10)
	for len(left["a"])+len(left["b"])+len(left["c"]) > 0 {
		a, err := c.read()
		if err == nil {
			err = take(left, a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.ends(1012, "messages were lost")
	for i := range f.count {
		if f.channel(i) == "a" {
			sse.expect(event{"", string(wide("a", i, f.size(i)).Payload), streamID(i).String()})
		}
	}
	sse.stops("messages were lost")
	none.quiet()
}

// A message for one connection goes there only, in its order with others, as
// text or binary or JSON; what can't be given is counted.
func TestDirect(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{}, r)
	to := <-r.to
	c, other, raw := openJSON(t, n, "/ws/room"), openJSON(t, n, "/ws/room"), openRaw(t, n, "/ws/room")
	raw.put(masked(rawFin|rawText, "who am I"))
	id := r.wait(within(t), 1)[0].Client
	c.answer("subscribed")
	other.answer("subscribed")
	direct := func(to gateway.ConnID, payload string, text bool) gateway.Message {
		return gateway.Message{Client: to, Channel: "ignored", Payload: []byte(payload), Text: text, MessageID: gateway.MessageID{Publisher: "an answer"}}
	}
	to.Deliver(direct(c.id, "[1 ]", true))
	to.Deliver(direct(id, "[1 ]", true))
	c.says(`{"type":"direct","id":"an answer","data":[1 ]}`)
	raw.expectFrame(rawFin|rawText, "[1 ]")
	to.Deliver(direct(c.id, "hello", true))
	to.Deliver(direct(c.id, "\x00", false))
	to.Deliver(gateway.Message{Client: c.id})
	reused := direct(id, "mine", true)
	to.Deliver(reused)
	copy(reused.Payload, "gone")
	to.Deliver(direct(id, "\x00", false))
	to.Deliver(direct(id, "", true))
	c.says(`{"type":"direct","id":"an answer","text":"hello"}`, `{"type":"direct","id":"an answer","base64":"AA=="}`, `{"type":"direct","base64":""}`)
	raw.expectFrame(rawFin|rawText, "mine")
	raw.expectFrame(rawFin|rawBinary, "\x00")
	raw.expectFrame(rawFin|rawText, "")
	large := strings.Repeat("x", 256<<10) // exactly what may be delivered
	to.Deliver(direct(id, large, false))
	raw.expectFrame(rawFin|rawBinary, large)
	to.Deliver(direct(c.id, large, true))
	c.says(`{"type":"direct","id":"an answer","text":"` + large + `"}`)
	if st := n.Stats(); st.Direct != 10 || st.DirectLost != 0 || st.Delivered != 0 {
		t.Errorf("%+v", st)
	}
	lost := uint64(0)
	counted := func() {
		t.Helper()
		lost++
		awaitStats(t, n, "it is counted", func(st gateway.Stats) bool { return st.DirectLost == lost })
	}
	to.Deliver(direct(c.id, large+"x", true))
	counted()
	to.Deliver(direct(1<<63, "x", true))
	counted()
	to.Deliver(direct(c.id|0xfff, "x", true)) // of a shard that isn't there
	counted()
	_ = c.Close()
	_ = raw.Close()
	awaitStats(t, n, "they have left", func(st gateway.Stats) bool { return st.Connections == 1 })
	again, againRaw := openJSON(t, n, "/ws"), openRaw(t, n, "/ws")
	for _, gone := range []gateway.ConnID{c.id, id} {
		to.Deliver(direct(gone, "for another", true))
		counted()
	}
	again.quiet()
	againRaw.put(masked(rawFin|rawPing, ""))
	againRaw.expectFrame(rawFin|rawPong, "")
	other.quiet()
	closing := openJSON(t, n, "/ws")
	closing.put(masked(rawFin|rawClose, closeBody(1000, "")))
	closing.ends(1000, "")
	to.Deliver(direct(closing.id, "too late", true))
	counted()
	closing.expectEnd()
}

// Streams of events can't be answered: nobody knows their connections, and what
// is sent there all the same is counted.
func TestDirectToEvents(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Shards: 1}, r)
	to := <-r.to
	first := openJSON(t, n, "/ws")
	sse := openEvents(t, n, "/sse/room")
	sse.event()
	guess := first.id + 1<<12 // the next slot
	to.Deliver(gateway.Message{Client: guess, Payload: []byte("x"), Text: true})
	awaitStats(t, n, "it is counted", func(st gateway.Stats) bool { return st.DirectLost == 1 })
	to.Deliver(streamed("room", 0))
	sse.expect(event{"", "0", streamID(0).String()})
}

// A slow client has what is sent to it alone bounded, too.
func TestDirectUnread(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 64 << 10, CloseTimeout: 3 * patience}}, r)
	to := <-r.to
	c := openJSONWithin(t, n, "/ws/room", narrowWindow)
	c.answer("subscribed")
	payload := strings.Repeat("x", 8<<10)
	count := 0
	for ; n.Stats().Evicted == 0; count++ {
		if count > 10_000 {
			t.Fatal("it is never closed")
		}
		to.Deliver(gateway.Message{Client: c.id, Payload: []byte(payload), Text: true, MessageID: gateway.MessageID{Publisher: "p", Seq: uint64(count + 1)}})
	}
	for i := 0; ; i++ {
		a, err := c.read()
		if errors.Is(err, closedError{1013, "slow consumer"}) {
			return
		}
		if err != nil || a.whole != fmt.Sprintf(`{"type":"direct","id":"p-%d","text":"%s"}`, i+1, payload) {
			t.Fatalf("message %d: %.200s %v", i, a.whole, err)
		}
	}
}
