package gateway

import (
	"slices"
	"testing"

	"warren/gateway/poll"
)

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
