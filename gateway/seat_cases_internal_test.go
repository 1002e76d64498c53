package gateway

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
)

// askJSON connects a client of the JSON protocol.
func (st *stage) askJSON(t testing.TB, path string) *actor {
	t.Helper()
	a := st.connect(t)
	a.send(t, "GET "+path+" HTTP/1.1\r\nSec-WebSocket-Protocol: warren.v1.json"+inputHead[len("GET /ws/room HTTP/1.1"):])
	return a
}

// say sends a command.
func (a *actor) say(t testing.TB, text string) {
	t.Helper()
	b := frame.AppendHeader(nil, ws.OpText, len(text))
	b[1] |= 0x80
	a.send(t, string(b)+"\x00\x00\x00\x00"+text)
}

// pollOnly is what comes of events alone.
func (st *stage) pollOnly(t testing.TB) {
	t.Helper()
	if err := st.s.poll(); err != nil {
		t.Fatal(err)
	}
}

// A ping right behind the request is answered behind its 101.
func TestAnswersBehindHandshake(t *testing.T) {
	st := newStage(t, Options{})
	a := st.askJSON(t, "/ws")
	a.send(t, "\x89\x80\x00\x00\x00\x00")
	st.events(t)
	st.s.sayTold()
	if a.take(t); !bytes.HasPrefix(a.got, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(a.got, []byte("\x8a\x00")) {
		t.Errorf("it got %q", a.got)
	}
}

// A client may be parked by what it is told while it waits for its turn.
func TestParkedWhileStarved(t *testing.T) {
	st := newStage(t, Options{History: HistoryOptions{Messages: 1000}})
	deliver := func(offset uint64, name string) {
		st.g.Deliver(Message{Channel: name, Payload: []byte("1"), Text: true, ID: ID{offset, 1}})
	}
	a := st.askJSON(t, "/ws/a")
	st.askJSON(t, "/ws/b")
	st.events(t)
	st.s.sayTold()
	deliver(1, "c")
	st.pollOnly(t)
	st.s.catchUpAt, st.s.catchUp = st.s.now, 0
	a.say(t, `{"type":"subscribe","channel":"c","history":10}`)
	st.pollOnly(t)
	deliver(2, "b") // b's members aren't written it: a is ahead of them
	a.say(t, `{"type":"subscribe","channel":"b","since":"2-00000001"}`)
	st.pollOnly(t)
	if a.c.out == nil || !a.c.out.starved {
		t.Fatalf("it has its turn at once: %+v", a.c.out)
	}
	st.s.catchUp = 1 << 20 // left over, as more wait than have a turn at once
	a.say(t, `{"type":"subscribe","channel":"d"}`)
	st.pollOnly(t)
	if !a.c.out.parked {
		t.Fatal("it is not parked")
	}
	for x := range a.c.seats {
		if x.audience.parked != 1 {
			t.Errorf("channel %q: %d parked", x.audience.edition.channel.name, x.audience.parked)
		}
	}
}

// A place in a gap leads over it, also on a channel that is younger; one behind
// the gap doesn't, however quiet the channel is.
func TestPlacesAndGaps(t *testing.T) {
	st := newStage(t, Options{History: HistoryOptions{Messages: 1000}})
	deliver := func(from, to uint64, name string, size int) {
		for offset := from; offset <= to; offset++ {
			st.g.Deliver(Message{Channel: name, Payload: make([]byte, size), ID: ID{offset, uint32(offset)}})
		}
	}
	misses := func(what, name string, offset uint64, want bool) {
		t.Helper()
		e := st.g.channels[name].editions[rawFrames]
		at := st.g.placeLocked(e, start{past: true, back: -1, since: ID{offset, 1024}})
		if at.missed != want {
			t.Errorf("%s: channel %q, behind %d: misses something: %v", what, name, offset, at.missed)
		}
	}
	deliver(1024, 1029, "older", 1)
	misses("before", "older", 1028, false)
	st.g.Gap(Gap{Reason: "test"}) // of 1030 to 1039
	misses("no end of the gap yet", "older", 1029, true)
	deliver(1040, 1040, "younger", 1)
	deliver(1041, 1042, "other", 1)
	for _, name := range []string{"older", "younger", "other"} {
		misses("in the gap", name, 1036, true)
		misses("behind the gap", name, 1040, false)
		misses("behind the gap", name, 1042, false)
	}
	deliver(1043, 1043, "older", st.g.o.WebSocket.MaxDeliverSize+1)
	deliver(1044, 1044, "other", 1)
	misses("before one too large", "older", 1042, true)
	misses("behind one too large", "older", 1044, false)
	misses("one too large elsewhere", "younger", 1042, false)
}

// What is kept of a quiet channel is kept tightly, whatever its clients' encoding.
func TestQuietHistoryOfJSON(t *testing.T) {
	st := newStage(t, Options{History: HistoryOptions{Messages: 10}})
	st.askJSON(t, "/ws/room")
	st.events(t)
	for i := range 2000 {
		st.deliver(1000 + i)
	}
	st.sweep()
	for range 2 {
		st.g.forgetSome(1)
	}
	if kept := st.g.channels["room"].kept().Kept(); kept > 8<<10 {
		t.Errorf("%d bytes are kept", kept)
	}
}

// What a client that takes nothing is told of skips is bounded.
func TestSkipsAreToldOnce(t *testing.T) {
	st := newStage(t, Options{Clients: ClientOptions{MaxLag: 64 << 10, Slow: SlowSkip}})
	a := st.askJSON(t, "/ws/room")
	st.events(t)
	st.s.sayTold()
	for st.g.count.skips.Load() < 100 {
		st.g.Deliver(Message{Channel: "room", Payload: make([]byte, 8<<10)})
		st.sweep()
		st.s.visitLate()
	}
	if n := bytes.Count(a.c.out.private, []byte(`"type":"gap"`)); n != 1 {
		t.Errorf("%d gaps", n)
	}
}

// Who listens to nothing, and takes nothing, doesn't hold back the source.
func TestUnseatedIsInNoCount(t *testing.T) {
	st := newStage(t, Options{Clients: ClientOptions{MaxLag: 256 << 10}})
	never, late := st.askJSON(t, "/ws"), st.askJSON(t, "/ws/room")
	st.events(t)
	st.s.sayTold()
	st.s.fallBehind(never.c, nil, 0)
	for late.c.out == nil || !late.c.out.stands.over {
		st.g.Deliver(Message{Channel: "room", Payload: make([]byte, 8<<10)})
		st.sweep()
		st.s.visitLate()
	}
	late.say(t, `{"type":"unsubscribe","channel":"room"}`)
	st.pollOnly(t)
	crowd := &st.g.crowd
	if late.c.out == nil || crowd.late.Load() != 0 || crowd.pressed.Load() != 0 || crowd.over.Load() != 0 || st.g.Hold() != nil {
		t.Errorf("%d late, %d pressed, %d over; held back: %v", crowd.late.Load(), crowd.pressed.Load(), crowd.over.Load(), st.g.Hold() != nil)
	}
}
