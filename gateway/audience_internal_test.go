package gateway

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
	"warren/gateway/framelog"
)

// Whoever comes and goes in the middle of a sweep, every member is written
// every chunk once, in order, from the front it joined at.
func TestSweepOrder(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		log := framelog.New()
		a := &audience{cursor: log.Cursor()}
		at := map[*seat]int64{} // up to where each has been written
		begin := func() {
			log.Append(frame.Size(9), func(b []byte) []byte {
				return frame.Append(b, ws.OpText, fmt.Appendf(nil, "%09d", rnd.IntN(1e9)))
			})
			a.chunk, a.swept = a.cursor.Chunk(1), 0
		}
		check := func(c *seat) {
			if place := a.place(int(c.index)); place.Pos() != at[c] {
				t.Fatalf("seed %d: a member at index %d counts as written to %d, and was to %d", seed, c.index, place.Pos(), at[c])
			}
		}
		for range 500 {
			switch n := rnd.IntN(10); {
			case n < 2:
				c := &seat{}
				front := a.front()
				at[c] = front.Pos()
				a.join(c)
			case n < 4 && len(a.members) > 0:
				c := a.members[rnd.IntN(len(a.members))]
				check(c)
				a.part(c)
				delete(at, c)
			case a.chunk == nil:
				begin()
			case a.swept < len(a.members):
				c := a.members[a.swept]
				check(c)
				at[c] += int64(len(a.chunk))
				a.swept++
			default:
				a.cursor.Advance(len(a.chunk))
				a.chunk, a.swept = nil, 0
			}
			for i, c := range a.members {
				if int(c.index) != i {
					t.Fatalf("seed %d: member %d believes to be %d", seed, i, c.index)
				}
			}
		}
		for c := range at {
			check(c)
		}
	}
}

// A channel that falls quiet costs little, and none without clients costs
// anything.
func TestQuietChannels(t *testing.T) {
	const channels = 20_000
	g, err := New(Options{Shards: 1}, NewEmbedded())
	if err != nil {
		t.Fatal(err)
	}
	s := &shard{g: g, latecomers: map[*audience]struct{}{}}
	g.shards = []*shard{s}
	s.sleeping.Store(false)
	heap := heapBytes()
	clients := make([]*client, channels)
	for i := range clients {
		c := &client{state: open}
		name := fmt.Appendf(nil, "channel/%d", i)
		a, at := g.attach(name, rawFrames, s, start{})
		c.channel = a.edition.channel.name
		c.seat.take(c, a, at)
		a.join(&c.seat)
		clients[i] = c
		g.Deliver(Message{Channel: c.channel, Payload: make([]byte, 1000)})
	}
	busy := (heapBytes() - heap) / channels
	// As the shard would: it has written all, then finds them quiet.
	quiet := func() {
		s.readMail()
		for _, a := range s.audiences {
			for b := a.cursor.Chunk(chunkBytes); b != nil; b = a.cursor.Chunk(chunkBytes) {
				a.cursor.Advance(len(b))
			}
		}
		for !s.work.empty() {
			s.work.pop()
		}
	}
	quiet()
	for _, a := range s.audiences {
		s.visitAudience(a)
		s.visitAudience(a)
	}
	quiet()
	s.work, s.dirty, s.fresh = workQueue{}, nil, nil
	each := (heapBytes() - heap) / channels
	t.Logf("%d bytes a channel with its client while busy, %d when quiet", busy, each)
	if each >= 1000 {
		t.Errorf("a quiet channel and its client take %d bytes", each)
	}
	for _, c := range clients {
		s.letGo(c)
	}
	if len(g.channels) != 0 || len(s.audiences) != 0 {
		t.Errorf("%d channels and %d audiences are left", len(g.channels), len(s.audiences))
	}
	g.Deliver(Message{Channel: "channel/1", Payload: []byte("nobody hears this")})
	if len(g.channels) != 0 || g.count.unheard.Load() != 1 {
		t.Error("a message that nobody hears left something behind")
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
