package gateway_test

import (
	"testing"
	"time"

	"warren/gateway"
)

// The place of a subscription is in front of what it is given of the past, also
// where that begins with the first message that its channel ever had.
func TestJSONPlaceOfFirstMessage(t *testing.T) {
	for _, given := range []bool{true, false} { // ids, by the exchange
		for _, before := range []int{0, 3} {
			r := newRecorder()
			n := start(t, keeping(100), r)
			to := <-r.to
			for i := range before + 1 {
				m := streamed("other", i)
				if i == before {
					m.Channel = "room"
				}
				if !given {
					m.ID = gateway.ID{}
				}
				to.Deliver(m)
			}
			c := openJSON(t, n, "/ws/room?history=5")
			place, first := c.answer("subscribed"), c.answer("message")
			if place.ID == "" {
				// Only in front of the very first there may be no name.
				if !given || before > 0 {
					t.Errorf("ids given %v, %d messages before: no place", given, before)
				}
				continue
			}
			again := openJSON(t, n, "/ws/room?since="+place.ID)
			if s := again.answer("subscribed"); s.Gap {
				t.Errorf("ids given %v, %d messages before: gap", given, before)
			}
			again.ask(`{"type":"ping"}`)
			if a, err := again.read(); a.Type != "message" || a.ID != first.ID {
				t.Errorf("ids given %v, %d messages before, since %s: %s %v", given, before, place.ID, a.whole, err)
			}
		}
	}
}

// Positions are of one generation of offsets: who has one of the younger doesn't
// hear messages of the older again.
func TestJSONPlaceInNewOffsets(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	for i := range 30 {
		to.Deliver(streamed("room", 5000+i))
	}
	for i := range 10 {
		to.Deliver(streamed("other", i)) // begins anew
	}
	c := openJSON(t, n, "/ws/room")
	place := c.answer("subscribed").ID
	if place != streamPlace(9).String() {
		t.Fatalf("place %s", place)
	}
	again := openJSON(t, n, "/ws/room?since="+place)
	again.says(subscribed("room", streamPlace(9), false))
	again.quiet()
	to.Deliver(streamed("room", 20))
	to.Deliver(streamed("room", 21))
	for i, l := range []int{20, 21} {
		again = openJSON(t, n, "/ws/room?since="+streamPlace(9+i*11).String())
		again.says(subscribed("room", streamPlace(9+i*11), false))
		for ; l <= 21; l++ {
			again.says(heard("room", l))
		}
		again.quiet()
	}
}

// Who was away during a gap misses something, though nobody was here to see it.
func TestJSONGapUnseen(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	for i := range 10 {
		to.Deliver(streamed("other", i))
	}
	c := openJSON(t, n, "/ws/room")
	c.says(subscribed("room", streamPlace(9), false))
	_ = c.Close()
	awaitStats(t, n, "it has left", func(st gateway.Stats) bool { return st.Connections == 0 })
	to.Gap(gateway.Gap{Reason: "test"})
	again := openJSON(t, n, "/ws/room?since="+streamPlace(9).String())
	if s := again.answer("subscribed"); !s.Gap {
		t.Error("no gap")
	}
}

// The very first message of a stream has no place in front of it that could be
// named; that of an older generation isn't one.
func TestJSONPlaceOfOffsetZero(t *testing.T) {
	id := func(offset int) gateway.ID { return gateway.ID{Offset: uint64(offset), Check: uint32(7 + offset)} }
	for _, old := range []int{0, 5} { // offset of the last message of the older generation; 0: there was none
		r := newRecorder()
		n := start(t, keeping(1000), r)
		to := <-r.to
		if old > 0 {
			to.Deliver(gateway.Message{Channel: "other", ID: id(old)})
		}
		for offset := range 20 {
			m := gateway.Message{Channel: "other", Text: true, Payload: []byte("1"), ID: id(offset)}
			if offset == 0 || offset == 3 {
				m.Channel = "room"
			}
			to.Deliver(m)
		}
		place := openJSON(t, n, "/ws/room?history=9").answer("subscribed").ID
		if place == "" {
			continue
		}
		again := openJSON(t, n, "/ws/room?since="+place)
		s := again.answer("subscribed")
		again.ask(`{"type":"ping"}`)
		if a, err := again.read(); !s.Gap && a.ID != id(0).String() {
			t.Errorf("older one up to %d: since %s comes %s %v", old, place, a.whole, err)
		}
	}
}

// A node that begins in the middle of a block, because messages are few, still
// gives places that lead somewhere: on this node, and on one that began earlier,
// and the other way round.
func TestJSONPlaceInMiddleOfBlock(t *testing.T) {
	o := keeping(1000)
	o.History.Age = time.Hour
	var nodes []*node
	var to []gateway.Receiver
	for range 2 {
		r := newRecorder()
		nodes = append(nodes, start(t, o, r))
		to = append(to, <-r.to)
	}
	for i := range 40 {
		m := streamed("other", i)
		m.At, m.Replayed = time.Now().Add(-50*time.Minute), true
		to[0].Deliver(m)
		if i >= 20 {
			to[1].Deliver(m)
		}
	}
	for from := range nodes {
		place := openJSON(t, nodes[from], "/ws/quiet").answer("subscribed").ID
		for i := range 2 {
			to[i].Deliver(streamed("quiet", 50+10*from))
			to[i].Deliver(streamed("other", 51+10*from))
		}
		for on := range nodes {
			again := openJSON(t, nodes[on], "/ws/quiet?since="+place)
			if s := again.answer("subscribed"); place == "" || s.Gap {
				t.Errorf("from node %d to %d: gap behind %q", from, on, place)
			}
			again.says(heard("quiet", 50+10*from))
			again.quiet()
		}
	}
}
