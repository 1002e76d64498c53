package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"warren/gateway/frame"
)

// crowded is a node whose clients come, go, subscribe, and read or don't, in
// random order, beside a plain account of what they must get.
type crowded struct {
	*stage
	random    *rand.Rand
	people    []*person
	offset    uint64
	delivered map[string][]uint64 // offsets by channel; "" has all
	lost      map[uint64]bool     // of these, who can't be delivered
	skips     bool
}

// person is one client after another, who remembers ids.
type person struct {
	enc     encoding
	a       *actor
	checked int             // bytes of a.got, whole frames, that were read
	known   map[string][]ID // by channel: places to resume behind
	subs    map[string]*sub
	since   ID // of the subscription in its URL
	reads   bool
	left    bool
}

// sub is what a subscription has got.
type sub struct {
	last  uint64 // all up to here came, or was said to be missing
	exact bool   // the next must be the first behind last
	gap   bool   // messages are missing behind last
	begun bool   // of an event stream: it has its first place

	// What was lost up to here, it need not be told: it was before its time, or
	// it knows.
	before uint64
}

var crowdNames = []string{"a", "b", "c", "d", ""}

func newCrowded(t testing.TB, seed uint64) *crowded {
	r := rand.New(rand.NewPCG(seed, 0))
	o := Options{Clients: ClientOptions{MaxLag: 32 << 10, MaxChannels: 4}}
	if r.IntN(4) > 0 {
		o.History = HistoryOptions{Messages: 1 + r.IntN(300), Bytes: 256 << 10}
	}
	if r.IntN(2) == 0 {
		o.Clients.Slow = SlowSkip
	}
	return &crowded{
		stage: newStage(t, o), random: r, offset: 1024,
		delivered: map[string][]uint64{}, lost: map[uint64]bool{}, skips: o.Clients.Slow == SlowSkip,
	}
}

func (m *crowded) deliver() {
	m.offset += 1 + uint64(m.random.IntN(8)/7)
	name := crowdNames[m.random.IntN(len(crowdNames))]
	size := m.random.IntN(1 << (4 + m.random.IntN(9)))
	m.publish(name)
	if m.random.IntN(200) == 0 {
		m.lost[m.offset] = true
		size = m.g.o.WebSocket.MaxDeliverSize
	}
	m.g.Deliver(Message{
		Channel: name, Text: m.random.IntN(4) > 0, ID: ID{m.offset, 7},
		Payload: fmt.Appendf(nil, "[%d,%q]", m.offset, strings.Repeat("x", size)),
	})
}

// publish is what every node may hear of.
func (m *crowded) publish(name string) {
	m.delivered[name] = append(m.delivered[name], m.offset)
	if name != "" {
		m.delivered[""] = append(m.delivered[""], m.offset)
	}
}

// lose is messages that are lost to this node. Other nodes had them: somebody
// may know their ids.
func (m *crowded) lose() {
	for range 1 + m.random.IntN(3) {
		m.offset++
		m.lost[m.offset] = true
		m.publish(crowdNames[m.random.IntN(len(crowdNames))])
		p := m.people[m.random.IntN(len(m.people))]
		for _, name := range crowdNames {
			p.known[name] = append(p.known[name], ID{m.offset, 7})
		}
	}
	m.g.Gap(Gap{Reason: "test"})
}

// arrive connects a person, in one of the encodings.
func (m *crowded) arrive(t testing.TB, p *person) {
	name := crowdNames[m.random.IntN(len(crowdNames)-1)]
	query, since := "", ID{}
	if known := p.known[name]; len(known) > 0 && m.random.IntN(3) > 0 {
		since = known[m.random.IntN(len(known))]
		query = "?since=" + since.String()
	} else if m.random.IntN(3) == 0 {
		query = "?history=" + fmt.Sprint(m.random.IntN(50))
	}
	p.subs, p.since, p.checked, p.left = map[string]*sub{}, ID{}, 0, false
	p.a = m.connect(t)
	switch p.enc {
	case jsonFrames:
		path := "/ws"
		if m.random.IntN(2) == 0 {
			path += "/" + name + query
			p.since = since
		}
		p.a.send(t, "GET "+path+" HTTP/1.1\r\nSec-WebSocket-Protocol: warren.v1.json"+inputHead[len("GET /ws/room HTTP/1.1"):])
	case eventStream:
		p.a.send(t, "GET /sse/"+name+query+" HTTP/1.1\r\nHost: a\r\n\r\n")
	default:
		p.a.send(t, "GET /ws/"+name+query+inputHead[len("GET /ws/room"):])
	}
	if p.enc != jsonFrames {
		p.subs[name] = &sub{last: since.Offset, exact: !since.IsZero()}
	}
	if err := unix.SetsockoptInt(p.a.c.sock(), unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		t.Fatal(err)
	}
}

// command sends a random command of the JSON protocol.
func (m *crowded) command(t testing.TB, p *person) {
	name := crowdNames[m.random.IntN(len(crowdNames))]
	var text string
	switch m.random.IntN(8) {
	case 0, 1:
		text = fmt.Sprintf(`{"type":"unsubscribe","channel":%q}`, name)
	case 2:
		text = `{"type":"ping"}`
	default:
		more := ""
		if known := p.known[name]; len(known) > 0 && m.random.IntN(2) == 0 {
			since := known[m.random.IntN(len(known))]
			more = fmt.Sprintf(`,"since":%q,"ref":%[1]q`, since)
		} else if m.random.IntN(3) == 0 {
			more = fmt.Sprintf(`,"history":%d`, m.random.IntN(100))
		}
		text = fmt.Sprintf(`{"type":"subscribe","channel":%q%s}`, name, more)
	}
	b := frame.AppendHeader(nil, ws.OpText, len(text))
	b[1] |= 0x80
	b = append(append(b, 0, 0, 0, 0), text...)
	if m.random.IntN(4) == 0 {
		b = append(b, "\x89\x80\x00\x00\x00\x00"...) // a ping of the other kind
	}
	_, _ = unix.Write(p.a.peer, b) // it may be closed by now
}

// round is one of the loop, a sweep of it cut short.
func (m *crowded) round(t testing.TB, writes int) {
	if err := m.s.poll(); err != nil {
		t.Fatal(err)
	}
	m.s.readMail()
	m.s.sayTold()
	m.s.sweep(writes)
	if m.random.IntN(3) > 0 {
		m.s.catchUpAt = m.s.now - 1
		m.s.catchUpSome()
	}
	if m.random.IntN(4) == 0 {
		m.s.visitLate()
		for _, a := range slices.Clone(m.s.audiences) {
			m.s.visitAudience(a)
		}
		m.g.forgetSome(2)
		m.s.sayTold()
	}
	m.checkBooks(t)
}

// Whoever comes, goes, subscribes and stops reading, on several channels at
// once: the books are right after each step, and everyone gets what each of its
// subscriptions has, once and in order, or is told of the gap.
func TestSeats(t *testing.T) {
	var subscriptions, gaps, skips, evicted int
	for seed := range uint64(30) {
		m := newCrowded(t, seed)
		for i := range 12 {
			p := &person{enc: jsonFrames, known: map[string][]ID{}, reads: true}
			if i%4 == 3 {
				p.enc = encoding(i / 4 % 3)
				if p.enc == jsonFrames {
					p.enc = eventStream
				}
			}
			m.people = append(m.people, p)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) { m.play(t) })
		for _, p := range m.people {
			subscriptions += len(p.subs)
		}
		gaps += int(m.g.count.missed.Load())
		skips += int(m.g.count.skips.Load())
		evicted += int(m.g.count.evicted.Load())
	}
	t.Logf("%d subscriptions at the end; %d were told that they miss something; %d skipped, %d closed, for being slow", subscriptions, gaps, skips, evicted)
}

func (m *crowded) play(t testing.TB) {
	for range 800 {
		p := m.people[m.random.IntN(len(m.people))]
		switch n := m.random.IntN(100); {
		case p.a == nil || p.left && p.a.c.state != gone:
			if p.a == nil {
				m.arrive(t, p)
			} else {
				m.s.drop(p.a.c, endReset)
			}
		case p.a.c.state == gone:
			p.a = nil
		case n < 30 && p.enc == jsonFrames:
			m.command(t, p)
		case n < 34:
			p.reads = !p.reads
		case n < 35:
			m.s.drop(p.a.c, endReset)
		case n < 36:
			m.lose()
		case n < 60:
			for range 1 + m.random.IntN(6) {
				m.deliver()
			}
		default:
			m.round(t, m.random.IntN(8))
		}
		if p.a != nil && p.reads {
			p.a.take(t)
			m.look(t, p)
		}
	}
	for quiet := 0; quiet < 30; { // a round gives turns, or doesn't
		quiet++
		m.round(t, sweepWrites)
		for _, p := range m.people {
			if p.a != nil && p.a.take(t) > 0 {
				quiet = 0
				m.look(t, p)
			}
		}
	}
	for _, p := range m.people {
		if p.a == nil || p.left || p.a.c.state != open {
			continue
		}
		if p.a.c.out != nil {
			t.Fatalf("all is read, and still something is owed: %+v", p.a.c.out)
		}
		for name, x := range p.subs {
			all := m.delivered[name]
			for len(all) > 0 && m.lost[all[len(all)-1]] && (p.enc == rawFrames || all[len(all)-1] <= x.before) {
				all = all[:len(all)-1]
			}
			if x.exact && !x.gap && len(all) > 0 && x.last < all[len(all)-1] && !(m.skips && p.enc == rawFrames) {
				t.Fatalf("encoding %d, channel %q ends at %d, not at %d", p.enc, name, x.last, all[len(all)-1])
			}
		}
	}
	for _, p := range m.people {
		if p.a != nil && p.a.c.state != gone {
			m.s.drop(p.a.c, endReset)
		}
	}
	m.checkBooks(t)
	if len(m.s.audiences) != 0 || m.g.clients.Load() != 0 {
		t.Fatalf("%d audiences and %d clients are left", len(m.s.audiences), m.g.clients.Load())
	}
}
