package gateway

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// Those who resume share what a millisecond may give them, and each has its
// turn.
func TestCatchUpIsBounded(t *testing.T) {
	const messages, size, clients = 500, 4 << 10, 40
	st := newStage(t, Options{History: HistoryOptions{Messages: messages}})
	for i := range messages {
		st.g.Deliver(Message{Channel: "room", Payload: bytes.Repeat([]byte{byte(i)}, size)})
	}
	for range clients {
		st.ask(t, "/ws/room?history=500")
	}
	const whole = messages * (size + 4)
	rounds := 0
	for done := 0; done < clients; rounds++ {
		st.events(t)
		sum := 0
		done = 0
		for _, a := range st.clients {
			sum += a.take(t)
			if len(a.got) > whole {
				done++
			} else if rounds == 10*clients*whole/catchUpBytes {
				t.Fatalf("after %d rounds a client has %d of %d bytes", rounds, len(a.got), whole)
			}
		}
		if over := sum - catchUpBytes - st.g.chunk - clients*200; over > 0 {
			t.Fatalf("%d bytes in a round, %d too many", sum, over)
		}
		if rounds == 2*clients*st.g.chunk/catchUpBytes+4 {
			for i, a := range st.clients {
				if len(a.got) < st.g.chunk {
					t.Fatalf("after %d rounds client %d has %d bytes", rounds, i, len(a.got))
				}
			}
		}
	}
	st.events(t) // they find that they have all
	for _, a := range st.clients {
		if a.c.out != nil || a.c.seat.behind != nil {
			t.Fatal("a client that has all is still late")
		}
		for i, p := range a.payloads(t) {
			if len(p) != size || p[0] != byte(i) {
				t.Fatalf("message %d is %d bytes of %d", i, len(p), p[0])
			}
		}
	}
}

// A client may know more than members were written yet. It gets none of it
// again, and nothing of what follows early.
func TestAheadOfMembers(t *testing.T) {
	const ping, pong = "\x89\x81\x00\x00\x00\x00?", "?"
	for _, c := range []struct {
		name string
		do   func(st *stage, a *actor) // while it is ahead
		want []string
	}{
		{"waits", func(*stage, *actor) {}, []string{"4", "5"}},
		{"pings", func(st *stage, a *actor) {
			a.send(t, ping)
			st.events(t)
			if got := a.payloads(t); !slices.Equal(got, []string{pong}) {
				t.Errorf("its ping is answered by %q", got)
			}
		}, []string{pong, "4", "5"}},
		{"closes", func(st *stage, a *actor) {
			a.send(t, "\x88\x80\x00\x00\x00\x00")
			st.events(t)
		}, []string{""}},
		{"stops", func(st *stage, a *actor) {
			st.s.shut(a.c, ws.StatusGoingAway, "", writeLog)
		}, []string{"\x03\xe9"}},
		{"leaves", func(st *stage, a *actor) { st.s.drop(a.c, endReset) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := newStage(t, Options{History: HistoryOptions{Messages: 100}})
			first := st.ask(t, "/ws/room")
			st.events(t)
			st.deliver(1, 2, 3)
			ahead := st.ask(t, "/ws/room?since="+ID{3, 1}.String())
			behind := st.ask(t, "/ws/room?since="+ID{1, 1}.String())
			st.events(t)
			if !ahead.c.out.parked || ahead.c.watching&2 != 0 || ahead.c.seat.audience.parked != 2 {
				t.Fatalf("it is not parked: %+v, watched for %b", ahead.c.out, ahead.c.watching)
			}
			st.events(t) // nothing comes of it
			c.do(st, ahead)
			st.deliver(4)
			st.events(t)
			st.sweep()
			st.events(t)
			st.deliver(5)
			st.sweep()
			st.events(t)
			if got := first.payloads(t); !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) {
				t.Errorf("the first got %q", got)
			}
			if got := behind.payloads(t); !slices.Equal(got, []string{"2", "3", "4", "5"}) {
				t.Errorf("who was behind got %q", got)
			}
			if got := ahead.payloads(t); !slices.Equal(got, c.want) {
				t.Errorf("who was ahead got %q, want %q", got, c.want)
			}
			if a := first.c.seat.audience; a.parked != 0 || len(a.late) != 0 {
				t.Errorf("%d are parked, %d late", a.parked, len(a.late))
			}
		})
	}
}

// A client that resumes counts against the source only for what it falls back.
func TestAllowance(t *testing.T) {
	const lag = 1 << 20
	st := newStage(t, Options{
		Clients: ClientOptions{MaxLag: 256 << 10},
		History: HistoryOptions{Messages: 1 << 20},
	})
	fill := func(bytes int) {
		for range bytes / (8 << 10) {
			st.g.Deliver(Message{Channel: "room", Payload: make([]byte, 8<<10-4)})
		}
	}
	fill(lag)
	a := st.ask(t, "/ws/room?history=1000")
	st.events(t)
	st.sweep()
	d := a.c.out
	wants := func(what string, lateBy, allowed int64, is standing) {
		t.Helper()
		st.s.checkLags(a.c.seat.audience)
		if d.lag != lateBy || d.allowance != allowed || d.stands != is {
			t.Errorf("%s: lags by %d of %d allowed, stands %+v, want %d, %d, %+v", what, d.lag, d.allowance, d.stands, lateBy, allowed, is)
		}
	}
	before := d.lag
	if before < lag/2 {
		t.Fatalf("its socket has taken all but %d bytes", before)
	}
	wants("at first", before, before, standing{})
	fill(32 << 10)
	wants("a little more", before+32<<10, before, standing{})
	fill(64 << 10)
	wants("pressed", before+96<<10, before, standing{late: true, pressed: true})
	fill(64 << 10)
	wants("over", before+160<<10, before, standing{late: true, pressed: true, over: true})
	if n := a.take(t); n == 0 {
		t.Fatal("it got nothing")
	}
	for limit := time.Now().Add(time.Minute); d.lag >= before; {
		if time.Now().After(limit) {
			t.Fatalf("it still lags by %d", d.lag)
		}
		st.events(t)
		a.take(t)
	}
	now := d.lag
	wants("closer", now, now, standing{})
	fill(264 << 10)
	st.s.checkLags(a.c.seat.audience)
	if a.c.state != closing || st.g.count.evicted.Load() != 1 {
		t.Errorf("%d bytes further back than it was it is not slow", d.lag-now)
	}
}

// Of a gap that a shard hears of late, it closes those who were there before.
func TestCloseBeforeGap(t *testing.T) {
	st := newStage(t, Options{Clients: ClientOptions{OnGap: GapClose}})
	before := st.ask(t, "/ws/room")
	st.events(t)
	st.deliver(1)
	st.g.Gap(Gap{Reason: "test"})
	st.deliver(2)
	after := st.ask(t, "/ws/room")
	st.events(t)
	st.sweep()
	st.events(t)
	if got := before.payloads(t); !slices.Equal(got, []string{"1", "\x03\xf4messages were lost"}) {
		t.Errorf("who was there got %q", got)
	}
	if got := after.payloads(t); slices.Contains(got, "\x03\xf4messages were lost") || after.c.state != open {
		t.Errorf("who came after got %q", got)
	}
}

// For memory.logs those go who keep something alive: not who lags within what is
// kept anyway.
func TestShedSparesHistory(t *testing.T) {
	const size = 32 << 10
	st := newStage(t, Options{Clients: ClientOptions{MaxLag: 64 << 20}, History: HistoryOptions{Messages: 100}})
	alone, within := st.ask(t, "/ws/room"), st.ask(t, "/ws/other")
	st.events(t)
	for range 30 {
		for _, name := range []string{"room", "other"} {
			st.g.Deliver(Message{Channel: name, Payload: make([]byte, size)})
		}
	}
	for range 4 {
		st.sweep()
		st.events(t)
	}
	if alone.c.out == nil || within.c.out == nil {
		t.Fatal("their sockets have taken all")
	}
	for ch := st.g.channels["room"]; ch.kept().Segments() > 0; {
		st.g.histories.drop(ch)
	}
	st.s.visitLate()
	if d := alone.c.out; d.first.beyond < d.lag || within.c.seat.behind.beyond != 0 || st.s.retained.Load() != d.first.beyond {
		t.Errorf("beyond histories are kept alive: %d for a lag of %d, %d within, %d in all",
			d.first.beyond, d.lag, within.c.seat.behind.beyond, st.s.retained.Load())
	}
	st.s.shed(1 << 40)
	if alone.c.state != closing || within.c.state != open || st.g.count.shed.Load() != 1 {
		t.Errorf("states %d and %d, %d shed", alone.c.state, within.c.state, st.g.count.shed.Load())
	}
}

// Whoever waits for its turn can't be told from dead: it is sent no ping.
func TestStarvedIsNotDead(t *testing.T) {
	st := newStage(t, Options{
		WebSocket: WebSocketOptions{PingInterval: time.Second, PongTimeout: time.Second},
		History:   HistoryOptions{Messages: 1000},
	})
	for range 100 {
		st.g.Deliver(Message{Channel: "room", Payload: make([]byte, 4<<10)})
	}
	a := st.starved(t)
	for range 50 {
		st.s.now += 100
		st.s.visit(a.c)
	}
	if a.c.state != open {
		t.Error("it was given up")
	}
	st.s.catchUpSome()
	for range 50 {
		st.s.now += 100
		st.s.visit(a.c)
	}
	if a.c.state != gone {
		t.Error("it had its turn, and stays silent for long, but isn't given up")
	}
}

// starved resumes on room while others have all the turns.
func (st *stage) starved(t *testing.T) *actor {
	t.Helper()
	poll := func() {
		if err := st.s.poll(); err != nil {
			t.Fatal(err)
		}
	}
	poll()
	st.s.catchUpAt, st.s.catchUp = st.s.now, 0
	a := st.ask(t, "/ws/room?history=1000")
	if err := unix.SetsockoptInt(a.c.sock(), unix.SOL_SOCKET, unix.SO_SNDBUF, 32<<10); err != nil {
		t.Fatal(err)
	}
	poll()
	a.take(t)
	if !a.c.out.starved {
		t.Fatal("it has its turn at once")
	}
	return a
}

// A client that had one turn in a window could not take more: it isn't slow.
// Nor does it stay so for ever, if it then takes nothing.
func TestRationedIsNotSlow(t *testing.T) {
	for _, reads := range []bool{true, false} {
		st := newStage(t, Options{Clients: ClientOptions{MaxLag: 1 << 20}, History: HistoryOptions{Messages: 1000}})
		for range 400 {
			st.g.Deliver(Message{Channel: "room", Payload: make([]byte, 8<<10)})
		}
		a := st.starved(t)
		pass := func(millis uint32) {
			for end := st.s.now + millis; st.s.now != end; {
				st.s.now += 100
				st.s.visitLate()
			}
		}
		pass(windowMillis - 100)
		st.s.catchUpSome()
		pass(200)
		if reads {
			a.take(t)
			pass(200)
		} else {
			pass(2 * windowMillis)
		}
		if evicted := a.c.state != open; evicted == reads {
			t.Errorf("it reads: %v, closed as slow: %v", reads, evicted)
		}
	}
}

// A pass gives no more turns than a sweep makes writes, however much others
// were written, and the rest soon.
func TestTurnsAreBounded(t *testing.T) {
	st := newStage(t, Options{History: HistoryOptions{Messages: 1000}})
	st.g.maxClients = 10 * sweepWrites
	for range 20 {
		st.g.Deliver(Message{Channel: "room", Payload: make([]byte, 4<<10)})
	}
	if err := st.s.poll(); err != nil {
		t.Fatal(err)
	}
	st.s.catchUpAt, st.s.catchUp = st.s.now, 0
	for range 2 * sweepWrites {
		st.ask(t, "/ws/room?history=1000")
	}
	for len(st.s.turns) < 2*sweepWrites {
		if err := st.s.poll(); err != nil {
			t.Fatal(err)
		}
		st.s.catchUpAt, st.s.catchUp = st.s.now, 0
	}
	st.s.swept, st.s.catchUpAt = 1<<30, st.s.now-1
	st.s.catchUpSome()
	if left := len(st.s.turns); left < sweepWrites || st.s.patience() != 0 {
		t.Errorf("%d turns at once, the next in %d ms", 2*sweepWrites-left, st.s.patience())
	}
}

// A client that is closed is written what is due to it at once, not by turns:
// its time is limited.
func TestShutNeedsNoTurns(t *testing.T) {
	for name, rest := range map[string]remainder{"stop": writeLog, "gap": writeGap} {
		st := newStage(t, Options{History: HistoryOptions{Messages: 1000}})
		const messages = 400
		for range messages {
			st.g.Deliver(Message{Channel: "room", Payload: make([]byte, 8<<10)})
		}
		a := st.starved(t)
		st.g.Gap(Gap{Reason: "test"})
		st.s.shut(a.c, ws.StatusGoingAway, "bye", rest)
		for limit := time.Now().Add(time.Minute); a.c.out != nil; {
			if time.Now().After(limit) {
				t.Fatalf("%s: it got %d bytes and waits", name, len(a.got))
			}
			if err := st.s.poll(); err != nil {
				t.Fatal(err)
			}
			st.s.catchUpAt, st.s.catchUp = st.s.now, 0 // others have all the turns
			a.take(t)
		}
		a.take(t)
		if got := a.payloads(t); len(got) != messages+1 || got[messages] != "\x03\xe9bye" {
			t.Errorf("%s: %d messages", name, len(got))
		}
	}
}
