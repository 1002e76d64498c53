package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"warren/gateway/frame"
	"warren/gateway/poll"
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

// checkBooks looks at every count.
func (m *crowded) checkBooks(t testing.TB) {
	t.Helper()
	s := m.s
	var late, pressed, over int64
	hears := map[*client]bool{}
	seats := map[*seat]bool{}
	perChannel := map[*channel]int{}
	for i, a := range s.audiences {
		parked := 0
		for j, x := range a.members {
			seats[x] = true
			if int(x.index) != j || x.behind != nil || x.audience != a || x.client.out != nil || x.client.state != open {
				t.Fatalf("member %d: %+v of %+v", j, x, x.client)
			}
		}
		for j, x := range a.late {
			seats[x] = true
			if int(x.index) != j || x.behind == nil || x.audience != a || x.client.out == nil {
				t.Fatalf("late %d: %+v of %+v", j, x, x.client)
			}
			if x.client.out.parked {
				parked++
			}
		}
		_, listed := s.latecomers[a]
		for _, x := range a.members {
			if x.counted != a.active {
				t.Fatalf("a member counts: %v, its channel is active: %v", x.counted, a.active)
			}
			if x.counted {
				hears[x.client] = true
			}
		}
		ch := a.edition.channel
		perChannel[ch]++
		switch {
		case a.index != i || a.size() == 0 || listed != (len(a.late) > 0) || a.parked != parked:
			t.Fatalf("audience %d: index %d, %d members, %d late (listed: %v), parked %d of %d",
				i, a.index, len(a.members), len(a.late), listed, a.parked, parked)
		case m.g.channels[ch.name] != ch || ch.editions[a.edition.enc] != a.edition || !slices.Contains(a.edition.audiences, a):
			t.Fatalf("an audience of channel %q is not in it", ch.name)
		}
	}
	receiving := int64(len(hears))
	for name, ch := range m.g.channels {
		if ch.listeners != perChannel[ch] || ch.name != name {
			t.Fatalf("channel %q: %d listeners of %d", name, ch.listeners, perChannel[ch])
		}
		for enc, e := range ch.editions {
			if e != nil && len(e.audiences) == 0 && (encoding(enc) != rawFrames || !m.g.histories.keeps()) {
				t.Fatalf("channel %q: an edition with no listeners", name)
			}
		}
	}
	if m.g.heard != len(perChannel) {
		t.Fatalf("%d channels heard of %d", m.g.heard, len(perChannel))
	}
	n := 0
	for i := range s.slots {
		if c := s.slots[i].c; c != nil {
			n += m.checkClient(t, c, seats, &late, &pressed, &over)
		}
	}
	if n != len(seats) {
		t.Fatalf("%d seats in audiences, %d of clients", len(seats), n)
	}
	c := &m.g.crowd
	got := [...]int64{c.receiving.Load(), c.late.Load(), c.pressed.Load(), c.over.Load()}
	if want := [...]int64{receiving, late, pressed, over}; got != want {
		t.Fatalf("crowd: receiving, late, pressed, over are %v, want %v", got, want)
	}
	if m.g.histories.keeps() {
		checkHistories(t, m.g)
	}
}

func (m *crowded) checkClient(t testing.TB, c *client, seats map[*seat]bool, late, pressed, over *int64) (n int) {
	t.Helper()
	ahead := false
	for x := range c.seats {
		n++
		if !seats[x] || x.client != c || (x.behind != nil) != (c.out != nil) {
			t.Fatalf("a seat on %q is not where it belongs", x.audience.edition.channel.name)
		}
		a := x.audience
		if front := a.front(); x.behind != nil && (x.behind.cursor.Pos() > front.Pos() || a.chunk != nil) {
			ahead = true // or its channel is being swept
		}
	}
	d := c.out
	if d == nil {
		if c.json != nil && len(c.json.private) > 0 && !slices.Contains(m.s.told, c) {
			t.Fatal("private output is forgotten")
		}
		return n
	}
	add := func(to *int64, is bool) {
		if is {
			*to++
		}
	}
	add(late, d.stands.late)
	add(pressed, d.stands.pressed)
	add(over, d.stands.over)
	switch {
	case d.starved && !slices.Contains(m.s.turns, c):
		t.Fatal("starved, and not in the row")
	case d.parked && !ahead:
		t.Fatal("parked for nothing")
	case c.watching&poll.Write == 0 && !d.parked && !d.starved:
		t.Fatal("something is owed that nobody writes")
	case c.state == open && n == 0 && d.stands != standing{stalled: d.stands.stalled}:
		t.Fatalf("listens to nothing and counts as %+v", d.stands)
	}
	return n
}

// look reads what came, and compares.
func (m *crowded) look(t testing.TB, p *person) {
	t.Helper()
	if p.checked == 0 {
		i := bytes.Index(p.a.got, []byte("\r\n\r\n"))
		if i < 0 {
			return
		}
		if p.enc == eventStream != bytes.HasPrefix(p.a.got, []byte("HTTP/1.1 200 ")) {
			t.Fatalf("answer: %.200q", p.a.got)
		}
		p.checked = i + 4
		if name, x := p.only(); x != nil && bytes.Contains(p.a.got[:i], []byte("Warren-Gap")) {
			p.subs[name] = &sub{}
		}
	}
	if p.enc == eventStream {
		for {
			event, _, whole := bytes.Cut(p.a.got[p.checked:], []byte("\n\n"))
			if !whole {
				return
			}
			p.checked += len(event) + 2
			m.event(t, p, string(event))
		}
	}
	for {
		b := p.a.got[p.checked:]
		h, n, err := frame.Decode(b)
		if err != nil || n > 0 && ws.CheckHeader(h, ws.StateClientSide) != nil {
			t.Fatalf("no frame: %.40q", b)
		}
		if n == 0 || len(b) < n+int(h.Length) {
			return
		}
		p.checked += n + int(h.Length)
		payload := b[n : n+int(h.Length)]
		switch h.OpCode {
		case ws.OpClose:
			p.left = true
			return
		case ws.OpText, ws.OpBinary:
			if p.enc == jsonFrames {
				m.object(t, p, payload)
				continue
			}
			var all []any
			if err := json.Unmarshal(payload, &all); err != nil {
				t.Fatal(err)
			}
			name, _ := p.only()
			m.message(t, p, name, uint64(all[0].(float64)))
		}
	}
}

// only is the subscription of who has one.
func (p *person) only() (string, *sub) {
	if p.enc != jsonFrames {
		for name, x := range p.subs {
			return name, x
		}
	}
	return "", nil
}

// event takes one of an event stream.
func (m *crowded) event(t testing.TB, p *person, event string) {
	t.Helper()
	name, x := p.only()
	var id ID
	kind, data := "", ""
	for _, line := range strings.Split(event, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "id":
			var ok bool
			if id, ok = ParseID(value); !ok {
				t.Fatalf("event %q", event)
			}
		case "event":
			kind = value
		case "data":
			data += value
		case "retry", "", ":":
		default:
			t.Fatalf("event %.100q", event)
		}
	}
	switch {
	case kind == "gap" && !x.begun:
		*x = sub{before: m.offset} // its place comes next
	case kind == "gap":
		x.gap = true
	case data != "":
		m.message(t, p, name, id.Offset)
		p.known[name] = append(p.known[name], id)
	case !id.IsZero():
		m.place(t, p, name, id)
		p.known[name] = append(p.known[name], id)
		if !x.exact && !x.begun {
			*x = sub{last: id.Offset, before: m.offset}
		}
		x.begun = true
	}
}

// object takes a frame of the JSON protocol.
func (m *crowded) object(t testing.TB, p *person, text []byte) {
	t.Helper()
	var o struct {
		Type, Channel, ID, Ref string
		Root, Gap              bool
	}
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v: %.100q", err, text)
	}
	id, _ := ParseID(o.ID)
	name := o.Channel
	if o.Root {
		name = ""
	}
	x := p.subs[name]
	switch o.Type {
	case "subscribed":
		if x != nil {
			t.Fatalf("subscribed twice to %q", name)
		}
		since, asked := ParseID(o.Ref)
		if !asked {
			since, p.since = p.since, ID{}
		}
		p.subs[name] = &sub{last: id.Offset, before: m.offset}
		if !since.IsZero() && !o.Gap {
			p.subs[name].before = 0
			if id != since {
				t.Fatalf("resumed behind %v, and not %v", id, since)
			}
			p.subs[name].exact = true
		}
		if !id.IsZero() {
			p.known[name] = append(p.known[name], id)
		}
	case "unsubscribed":
		delete(p.subs, name) // if it waited for what is to come, it has none
	case "gap":
		if x == nil {
			t.Fatalf("a gap of %q", name)
		}
		x.gap = true
	case "message":
		if x == nil {
			t.Fatalf("a message of %q", name)
		}
		m.message(t, p, name, id.Offset)
		p.known[name] = append(p.known[name], id)
	case "pong":
		if id.IsZero() {
			break
		}
		for name := range p.subs {
			m.place(t, p, name, id)
			p.known[name] = append(p.known[name], id)
		}
	case "welcome", "error":
	default:
		t.Fatalf("%s", text)
	}
}

// message is the next one of a subscription, or behind a gap.
func (m *crowded) message(t testing.TB, p *person, name string, offset uint64) {
	t.Helper()
	x, all := p.subs[name], m.delivered[name]
	if x.last == 0 && !x.begun && p.enc == eventStream {
		x.before = m.offset // it begins where no place is known
	}
	i, ok := slices.BinarySearch(all, offset)
	before := uint64(0)
	for i--; i >= 0 && before == 0; i-- {
		if !m.lost[all[i]] || p.enc != rawFrames && all[i] > x.before { // raw clients aren't told
			before = all[i]
		}
	}
	if before > x.last && x.last != 0 {
	}
	switch {
	case !ok:
		t.Fatalf("%d was never delivered to %q", offset, name)
	case x.last == 0 || x.gap && offset > x.last:
	case !x.exact && offset <= x.last: // it begins with its channel's clients, who may be behind
	case offset <= x.last:
		t.Fatalf("encoding %d, channel %q: %d again, behind %d", p.enc, name, offset, x.last)
	case before > x.last && !(m.skips && p.enc == rawFrames):
		t.Fatalf("encoding %d, channel %q: %d behind %d, without %d", p.enc, name, offset, x.last, before)
	}
	*x = sub{last: offset, exact: true, begun: true, before: x.before}
}

// place says that all up to id came.
func (m *crowded) place(t testing.TB, p *person, name string, id ID) {
	t.Helper()
	x := p.subs[name]
	for _, offset := range m.delivered[name] {
		if x.exact && offset > x.last && offset <= id.Offset && !x.gap && !(m.lost[offset] && offset <= x.before) {
			t.Fatalf("encoding %d, channel %q: all up to %v, without %d", p.enc, name, id, offset)
		}
	}
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
