package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"warren/gateway"
)

// A client resumes by whatever id it was given last.
func TestJSONResumeByAnyID(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(100), r)
	to := <-r.to
	to.Deliver(streamed("other", 0))
	c := openJSON(t, n, "/ws/room")
	c.says(subscribed("room", streamPlace(0), false)) // no message of it yet
	for i := 1; i < 4; i++ {
		to.Deliver(streamed("other", i))
	}
	c.ask(`{"type":"ping"}`)
	c.says(fmt.Sprintf(`{"type":"pong","id":"%v"}`, streamPlace(3)))
	_ = c.Close()
	awaitStats(t, n, "it has left", func(st gateway.Stats) bool { return st.Connections == 0 })
	to.Deliver(streamed("room", 4))
	to.Deliver(streamed("other", 5))
	to.Deliver(streamed("room", 6))
	for _, tt := range []struct {
		since gateway.ID
		gap   bool
		comes []int
	}{
		{streamPlace(0), false, []int{4, 6}},
		{streamPlace(2), false, []int{4, 6}},
		{streamPlace(3), false, []int{4, 6}},
		{streamID(4), false, []int{6}},
		{streamPlace(4), false, []int{6}},
		{streamPlace(5), false, []int{6}},
		{streamID(6), false, nil},
		{streamPlace(6), false, nil},
		{streamID(5), false, []int{6}}, // another channel's own
		{gateway.ID{Offset: 1028, Check: 99}, true, []int{4, 6}},
	} {
		c := openJSON(t, n, "/ws")
		c.subscribe("room", tt.since)
		place := tt.since
		if tt.gap {
			place = streamPlace(0) // that of its beginning
		}
		s := c.answer("subscribed")
		if s.Gap != tt.gap || !tt.gap && s.ID != place.String() {
			t.Errorf("since %v: %s", tt.since, s.whole)
		}
		for _, i := range tt.comes {
			c.says(heard("room", i))
		}
		c.quiet()
	}
	// Nobody was ever there, and nothing is missing.
	c = openJSON(t, n, "/ws/nobody?since="+streamPlace(3).String())
	if a := c.answer("subscribed"); a.Gap != true && a.ID != streamPlace(3).String() {
		t.Errorf("got %s", a.whole)
	}
}

// TestJSONResumeModel: whatever is kept and forgotten, and wherever a client was,
// it is told of a gap if it misses something, and only then, as long as the node
// can know.
func TestJSONResumeModel(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			resumeModel(t, rand.New(rand.NewPCG(seed, 9)))
		})
	}
}

// place is an id that a client has.
type place struct {
	id    string
	count int  // of messages up to there
	exact bool // it is that of a message: known where that was heard
}

// resumeWorld is what was delivered to a node.
type resumeWorld struct {
	t       *testing.T
	n       *node
	to      gateway.Receiver
	given   bool // ids, by the exchange
	offset  int
	eras    []era
	sent    []string // channel of each message
	gaps    []int    // count of messages when some were lost
	places  []place
	visits  int
	forgets bool // channels may be forgotten as a whole
}

// era is a time in which offsets ascended without holes.
type era struct{ sent, offset int } // before it, and the first in it

func resumeModel(t *testing.T, random *rand.Rand) {
	o := keeping([]int{5, 40, 1000}[random.IntN(3)])
	forgets := random.IntN(3) == 0
	switch {
	case forgets:
		o.Memory.Logs, o.History.Bytes = 24<<10, 8<<10
	case random.IntN(2) == 0:
		o.History.Bytes = 400
	}
	r := newRecorder()
	n := start(t, o, r)
	w := &resumeWorld{t: t, n: n, to: <-r.to, given: random.IntN(3) > 0, offset: 1024, eras: []era{{0, 1024}}, forgets: forgets}
	names := []string{"a", "b", "c", ""}
	for range 60 {
		switch random.IntN(12) {
		case 0:
			w.to.Gap(gateway.Gap{Reason: "test"})
			w.gaps = append(w.gaps, len(w.sent))
		case 1:
			if w.given && random.IntN(4) == 0 { // offsets begin anew
				w.offset = 256 * random.IntN(3)
				w.eras = append(w.eras, era{len(w.sent), w.offset})
			}
		case 2, 3, 4:
			w.visit(names[random.IntN(len(names))], random)
		default:
			for range random.IntN(40) {
				w.deliver(names[random.IntN(3)])
			}
			if forgets {
				for i := range random.IntN(100) {
					w.deliver(fmt.Sprint("many/", i))
				}
			}
		}
	}
	for range 10 {
		w.visit(names[random.IntN(len(names))], random)
	}
}

func (w *resumeWorld) deliver(channel string) {
	m := gateway.Message{Channel: channel, Payload: fmt.Append(nil, len(w.sent)), Text: true}
	if w.given {
		m.ID = gateway.ID{Offset: uint64(w.offset), Check: w.check(len(w.eras)-1, w.offset)}
		w.offset++
	}
	w.to.Deliver(m)
	w.sent = append(w.sent, channel)
}

// check tells apart eras.
func (w *resumeWorld) check(era, offset int) uint32 { return uint32(100_000*era + offset + 1) }

// learn keeps a place.
func (w *resumeWorld) learn(text string) {
	id, ok := gateway.ParseID(text)
	if !ok {
		w.t.Fatalf("no id: %q", text)
	}
	p := place{id: text, count: int(id.Offset)}
	switch number := int(id.Check-1) / 100_000; {
	case !w.given:
	case id.Offset == 0 && number >= len(w.eras):
		p.exact = true // of the node's own, before the exchange gave any
	default:
		e := w.eras[number]
		p.count = e.sent + int(id.Offset) - e.offset + 1
		p.exact = id.Check == w.check(number, int(id.Offset))
	}
	w.places = append(w.places, p)
}

// lost says whether messages of all channels are missing behind the first count.
func (w *resumeWorld) lost(count int) bool {
	for _, at := range w.gaps {
		if at >= count {
			return true
		}
	}
	return false
}

// visit resumes somewhere, and keeps the places it learns.
func (w *resumeWorld) visit(channel string, random *rand.Rand) {
	t := w.t
	t.Helper()
	c := openJSON(t, w.n, "/ws")
	defer func() { _ = c.Close() }()
	w.visits++
	var from place
	if len(w.places) > 0 && random.IntN(4) > 0 {
		from = w.places[random.IntN(len(w.places))]
	}
	if id, _ := gateway.ParseID(from.id); w.given && id.Offset >= uint64(w.offset) {
		from = place{} // it would be waited for
	}
	if from.id != "" {
		c.ask(`{"type":"subscribe","channel":"` + channel + `","since":"` + from.id + `"}`)
	} else {
		c.ask(fmt.Sprintf(`{"type":"subscribe","channel":"%s","history":%d}`, channel, random.IntN(2)*random.IntN(1200)))
	}
	s := c.answer("subscribed")
	c.ask(`{"type":"ping"}`)
	var got []int
	for {
		a, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		if a.Type == "pong" {
			if a.ID != "" {
				w.learn(a.ID)
				if p := w.places[len(w.places)-1]; p.count != len(w.sent) {
					t.Fatalf("%d were delivered, and a pong is at %+v", len(w.sent), p)
				}
				break
			}
			c.ask(`{"type":"ping"}`) // it was behind
			continue
		}
		var i int
		if _, err := fmt.Sscan(string(a.Data), &i); err != nil {
			t.Fatalf("got %s", a.whole)
		}
		got = append(got, i)
		if random.IntN(10) == 0 {
			w.learn(a.ID)
		}
	}
	// What came is the end of all there is, without holes.
	var all []int
	for i, name := range w.sent {
		if channel == "" || name == channel {
			all = append(all, i)
		}
	}
	for i := range got {
		if j := len(all) - len(got) + i; j < 0 || got[i] != all[j] {
			t.Fatalf("visitor %d of %q, since %+v: got %v of %v", w.visits, channel, from, got, all)
		}
	}
	first := len(w.sent)
	if len(got) > 0 {
		first = got[0]
	}
	if s.ID != "" {
		w.learn(s.ID)
	}
	if from.id == "" {
		return
	}
	missing := w.lost(from.count)
	for _, i := range all {
		if i >= from.count && i < first {
			missing = true
		}
	}
	if missing && !s.Gap {
		t.Fatalf("visitor %d of %q, since %+v: no gap, and got %v of %v; lost at %v", w.visits, channel, from, got, all, w.gaps)
	}
	for _, i := range got {
		if i < from.count && !s.Gap {
			t.Fatalf("visitor %d of %q, since %+v: got %v again", w.visits, channel, from, got)
		}
	}
	if s.Gap && !missing && !w.forgets && !from.exact && len(w.eras) == 1 {
		t.Fatalf("visitor %d of %q, since %+v: a gap for nothing, got %v of %v; lost at %v", w.visits, channel, from, got, all, w.gaps)
	}
}
