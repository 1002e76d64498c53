package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"warren/gateway/frame"
)

func keeper(t testing.TB, o Options) *Gateway {
	t.Helper()
	g, err := New(o, NewEmbedded())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// checkHistories compares the books of the node with those of its channels.
func checkHistories(t testing.TB, g *Gateway) {
	t.Helper()
	h := &g.histories
	var cost int64
	pieces, heard := 0, 0
	for i, ch := range h.list {
		p := ch.past
		if p.index != i || g.channels[ch.name] != ch {
			t.Fatalf("channel %q is not where it believes to be", ch.name)
		}
		if len(p.pieces) != ch.kept().Segments() {
			t.Fatalf("channel %q: %d pieces for %d segments", ch.name, len(p.pieces), ch.kept().Segments())
		}
		if len(p.pieces) == 0 && ch.listeners == 0 {
			t.Fatalf("channel %q is there for nothing", ch.name)
		}
		for _, e := range p.pieces {
			if e.Value.(*channel) != ch {
				t.Fatalf("channel %q has a piece of another", ch.name)
			}
		}
		if len(p.pieces) > 0 && p.cost < ch.kept().Kept() || len(p.pieces) == 0 && p.cost != 0 {
			t.Fatalf("channel %q counts for %d bytes, its log for %d", ch.name, p.cost, ch.kept().Kept())
		}
		cost += p.cost
		pieces += len(p.pieces)
		if ch.listeners > 0 {
			heard++
		}
	}
	if len(h.list) != len(g.channels) || h.pieces.Len() != pieces || h.bytes.Load() != cost || g.heard != heard {
		t.Fatalf("%d channels listed of %d, %d pieces of %d, %d bytes of %d, %d heard of %d",
			len(h.list), len(g.channels), h.pieces.Len(), pieces, h.bytes.Load(), cost, g.heard, heard)
	}
}

// TestHistoryBooks: whatever comes and goes, nothing is counted wrong, and the
// bound is kept.
func TestHistoryBooks(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 3))
		const logs = 256 << 10
		g := keeper(t, Options{
			Shards:  1,
			Memory:  MemoryOptions{Logs: logs},
			History: HistoryOptions{Messages: 50, Bytes: 32 << 10, Age: time.Hour},
		})
		s := &shard{g: g, latecomers: map[*audience]struct{}{}}
		g.shards = []*shard{s}
		var clients []*client
		for i := range 3000 {
			name := fmt.Sprint("channel/", random.IntN(1+random.IntN(400)))
			switch random.IntN(20) {
			case 0:
				c := &client{state: open}
				a, at := g.attach([]byte(name), rawFrames, s, start{})
				c.seat.take(c, a, at)
				a.join(&c.seat)
				clients = append(clients, c)
			case 1:
				if n := len(clients); n > 0 {
					s.letGo(clients[n-1])
					clients = clients[:n-1]
				}
			case 2:
				g.forgetSome(1 + random.IntN(5))
			case 3:
				if n := len(s.audiences); n > 0 {
					g.seal(s.audiences[random.IntN(n)].edition)
				}
			default:
				m := Message{Channel: name, Payload: make([]byte, random.IntN(1<<random.IntN(14)))}
				if random.IntN(10) == 0 {
					m.At = time.Now().Add(-time.Duration(random.Int64N(int64(2 * time.Hour))))
				}
				g.Deliver(m)
			}
			if over := g.histories.bytes.Load(); over > logs {
				t.Fatalf("seed %d, step %d: %d bytes of history", seed, i, over)
			}
			if i%50 == 0 {
				checkHistories(t, g)
			}
		}
		for _, c := range clients {
			s.letGo(c)
		}
		checkHistories(t, g)
	}
}

// TestHistoryCost: what is counted is what it costs.
func TestHistoryCost(t *testing.T) {
	for _, c := range []struct {
		name               string
		channels, messages int
	}{
		{"a message each", 20_000, 1},
		{"ten messages each", 5_000, 10},
		{"many messages", 20, 5000},
	} {
		g := keeper(t, Options{
			Shards:  1,
			Memory:  MemoryOptions{Logs: 1 << 30},
			History: HistoryOptions{Messages: 1 << 20},
		})
		g.shards = []*shard{{g: g}}
		before := heapBytes()
		for i := range c.channels {
			name := fmt.Sprint("channel/", i)
			for range c.messages {
				g.Deliver(Message{Channel: name, Payload: make([]byte, 64)})
			}
		}
		for range 3 { // all are visited, and found quiet
			g.forgetSome(1)
		}
		costs, counted := heapBytes()-before, g.histories.bytes.Load()
		t.Logf("%s: %d bytes a message, %d counted", c.name, costs/int64(c.channels*c.messages), counted/int64(c.channels*c.messages))
		if counted < costs*19/20 || counted > costs*3/2 {
			t.Errorf("%s: %d bytes are counted, %d are used", c.name, counted, costs)
		}
	}
}

// TestManyNames: an endless row of new names stays within memory.logs.
func TestManyNames(t *testing.T) {
	const logs, names = 4 << 20, 60_000
	g := keeper(t, Options{
		Shards:  1,
		Memory:  MemoryOptions{Logs: logs},
		History: HistoryOptions{Messages: 1000, Bytes: logs},
	})
	g.shards = []*shard{{g: g}}
	before := heapBytes()
	for i := range names {
		g.Deliver(Message{Channel: fmt.Sprint("a/name/", i), Payload: make([]byte, 10)})
	}
	g.Deliver(Message{Channel: "not/a//name", Payload: make([]byte, 10)})
	if g.channels["not/a//name"] != nil {
		t.Error("a channel is kept that nobody can ask for")
	}
	checkHistories(t, g)
	if used := heapBytes() - before; used > logs*5/4 {
		t.Errorf("%d bytes are used", used)
	}
	if n := g.count.trimmed.Load(); n < names/2 || g.channels[fmt.Sprint("a/name/", names-1)] == nil {
		t.Errorf("%d dropped", n)
	}
}

// TestHistoryForgets: a node that has fallen quiet forgets, by the messages'
// time.
func TestHistoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeper(t, Options{Shards: 1, History: HistoryOptions{Messages: 100, Age: time.Minute}})
		s := &shard{g: g, latecomers: map[*audience]struct{}{}}
		g.shards = []*shard{s}
		c := &client{state: open}
		a, at := g.attach([]byte("heard"), rawFrames, s, start{})
		c.seat.take(c, a, at)
		a.join(&c.seat)
		pass := func(d time.Duration) {
			<-time.After(d)
			for range 3 {
				g.forgetSome(1)
			}
			checkHistories(t, g)
		}
		deliver := func(channel string, ago time.Duration) {
			g.Deliver(Message{Channel: channel, Payload: []byte("x"), At: time.Now().Add(-ago), Replayed: true})
		}
		visible := func(channel string) int64 {
			ch := g.channels[channel]
			return ch.kept().Count() - ch.kept().Oldest(g.clock())
		}
		deliver("heard", 0)
		deliver("a", 0)
		deliver("b", 50*time.Second)
		deliver("c", time.Hour)
		deliver("d", -time.Hour) // a clock that is ahead
		deliver("e", 0)
		deliver("e", 50*time.Second) // not before the one before
		g.Deliver(Message{Channel: "f", Payload: []byte("x")})
		for _, want := range []struct {
			after  time.Duration
			there  []string
			inRoot int64
		}{
			{0, []string{"", "a", "b", "d", "e", "f", "heard"}, 8},
			{10 * time.Second, []string{"", "a", "b", "d", "e", "f", "heard"}, 8},
			{time.Second, []string{"", "a", "d", "e", "f", "heard"}, 8}, // root has had a younger one before it
			{49 * time.Second, []string{"", "a", "d", "e", "f", "heard"}, 8},
			{time.Second, []string{"heard"}, 0},
		} {
			pass(want.after)
			var there []string
			for name := range g.channels {
				there = append(there, name)
			}
			slices.Sort(there)
			if !slices.Equal(there, want.there) {
				t.Fatalf("there are %q, want %q", there, want.there)
			}
			if want.inRoot > 0 && visible("") != want.inRoot {
				t.Errorf("%d messages in root, want %d", visible(""), want.inRoot)
			}
		}
		if g.histories.bytes.Load() != 0 || visible("heard") != 0 {
			t.Errorf("%d bytes are kept", g.histories.bytes.Load())
		}
		// The last it had is still known to a channel that is listened to.
		id := ID{Offset: 1, Check: g.ids.check(1)}
		if _, at := g.attach([]byte("heard"), rawFrames, s, start{past: true, back: -1, since: id}); at.missed {
			t.Error("who had the last message misses something")
		}
		// Months later, with a clock that has wrapped.
		pass(70 * 24 * time.Hour)
		deliver("heard", 0)
		deliver("a", 0)
		pass(time.Second)
		if visible("heard") != 1 || visible("a") != 1 {
			t.Error("after months nothing is kept")
		}
		s.letGo(c)
		pass(time.Minute)
		if len(g.channels) != 0 {
			t.Errorf("%d channels are left", len(g.channels))
		}
	})
}

// TestOwnIDs: without ids of the exchange's the gateway gives its own, which
// lead nowhere in another process.
func TestOwnIDs(t *testing.T) {
	one, other := keeper(t, Options{History: HistoryOptions{Messages: 10}}), keeper(t, Options{History: HistoryOptions{Messages: 10}})
	for _, g := range []*Gateway{one, other} {
		for range 5 {
			g.Deliver(Message{Channel: "room", Payload: []byte("x")})
		}
		g.Deliver(Message{Channel: "room", Payload: make([]byte, g.o.WebSocket.MaxDeliverSize+1)}) // has a number, too
		g.Deliver(Message{Channel: "room", Payload: []byte("x")})
	}
	for i, offset := range []uint64{1, 2, 3, 4, 5, 7} {
		id, ok := ParseID(ID{offset, one.ids.check(offset)}.String())
		if !ok {
			t.Fatalf("%d has no id", offset)
		}
		at := one.placeLocked(one.channels["room"].editions[rawFrames], start{past: true, back: -1, since: id})
		// Those before the one that was too large lead over a gap.
		if at.missed != (offset < 6) || at.cursor.Pos() != int64((i+1)*frame.Size(1)) {
			t.Errorf("message %d: %+v", offset, at)
		}
		if at := other.placeLocked(other.channels["room"].editions[rawFrames], start{past: true, back: -1, since: id}); !at.missed {
			t.Errorf("message %d is known in another process", offset)
		}
	}
}
