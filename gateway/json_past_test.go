package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"warren/gateway"
)

// Many clients of JSON read much of the past, which is encoded for them, while
// more comes: each gets every message once and in order, without a seam.
func TestJSONPastUnderLoad(t *testing.T) {
	const past, more, clients = 10_000, 3000, 20
	o := keeping(past + more)
	o.Clients.MaxLag = 256 << 10 // a chunk is 32 KiB, the past some 40 times that
	o.Shards = 3
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	frames := make([][2]string, past+more) // of room, of root
	for i := range frames {
		frames[i] = [2]string{heard("room", i), heardAtRoot("room", i)}
	}
	for i := range past {
		to.Deliver(streamed("room", i))
	}
	var all []*jsonConn
	for i := range clients {
		from := i * 37
		root := i % 2
		c := openJSON(t, n, "/ws")
		c.subscribe([]string{"room", ""}[root], streamID(from))
		all = append(all, c)
	}
	var group sync.WaitGroup
	for i, c := range all {
		root := i % 2
		group.Go(func() {
			first, err := c.read()
			if err != nil || first.whole != subscribed([]string{"room", ""}[root], streamID(i*37), false) {
				t.Errorf("client %d: %s, %v", i, first.whole, err)
				return
			}
			for j := i*37 + 1; j < past+more; j++ {
				b, err := c.listener.next()
				if err != nil || string(b) != frames[j][root] {
					t.Errorf("client %d, instead of message %d: %.200q, %v", i, j, b, err)
					return
				}
			}
		})
	}
	live := openJSON(t, n, "/ws/room")
	live.answer("subscribed")
	for i := past; i < past+more; i++ {
		for hold := to.Hold(); hold != nil; hold = to.Hold() {
			<-hold
		}
		to.Deliver(streamed("room", i))
		live.says(frames[i][0])
	}
	group.Wait()
	st := awaitStats(t, n, "nobody lags", func(st gateway.Stats) bool { return st.LogBytes == 0 })
	if st.Evicted != 0 || st.Missed != 0 || st.Resumed != clients {
		t.Errorf("%+v", st)
	}
}

// Clients that resume several channels while all of them are busy, over and
// over: nothing twice, nothing missing.
func TestJSONResumeUnderLoad(t *testing.T) {
	t.Parallel()
	const messages, clients, names = 6000, 8, 4
	o := keeping(messages)
	o.Shards = 2
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	channel := func(i int) string { return fmt.Sprint("c", i%names) }
	var group sync.WaitGroup
	for range 2 * o.Shards { // who are there all the time, and mostly behind the source
		for name := range names {
			c := openJSONWithin(t, n, fmt.Sprint("/ws/c", name), smallWindow)
			c.answer("subscribed")
			group.Go(func() {
				for i := name; i < messages; i += names {
					if b, err := c.listener.next(); err != nil || string(b) != heard(channel(i), i) {
						t.Errorf("instead of message %d: %.200q, %v", i, b, err)
						return
					}
				}
			})
		}
	}
	group.Go(func() {
		for i := range messages {
			for hold := to.Hold(); hold != nil; hold = to.Hold() {
				<-hold
			}
			to.Deliver(streamed(channel(i), i))
		}
	})
	for i := range clients {
		group.Go(func() {
			s := jsonVisitor{n: n, t: t, last: map[string]int{}, ids: map[string]string{}}
			for name := range names {
				s.last[fmt.Sprint("c", name)] = name - names
			}
			for visit := 0; !s.done(messages); visit++ {
				if err := s.visit(names, 100+(visit*617+i*31)%2500, messages); err != nil {
					t.Errorf("client %d, visit %d, after %v: %v", i, visit, s.last, err)
					return
				}
			}
		})
	}
	group.Wait()
	if st := n.Stats(); st.Missed != 0 || st.Resumed == 0 || st.Skips != 0 {
		t.Errorf("%+v", st)
	}
}

// jsonVisitor is a client that comes back.
type jsonVisitor struct {
	n    *node
	t    *testing.T
	last map[string]int    // message of each channel
	ids  map[string]string // to resume by
}

func (v *jsonVisitor) done(messages int) bool {
	for _, last := range v.last {
		if last < messages-len(v.last) {
			return false
		}
	}
	return true
}

// visit reads so many messages, or all, and leaves.
func (v *jsonVisitor) visit(names, most, end int) error {
	c := approachJSON(v.t, v.n, "/ws", smallWindow)
	defer func() { _ = c.rawConn.Close() }()
	c.welcomed()
	var commands strings.Builder
	for name := range v.last {
		from := fmt.Sprintf(`"history":%d`, end)
		if id := v.ids[name]; id != "" {
			from = `"since":"` + id + `"`
		}
		commands.WriteString(masked(rawFin|rawText, `{"type":"subscribe","channel":"`+name+`",`+from+`}`))
	}
	if _, err := c.Write([]byte(commands.String())); err != nil {
		return err
	}
	for most > 0 && !v.done(end) {
		a, err := c.read()
		if errors.Is(err, closedError{1013, "slow consumer"}) {
			return nil // this machine is busy: come back
		}
		switch {
		case err != nil:
			return err
		case a.Type == "subscribed" && !a.Gap:
			v.ids[a.Channel] = a.ID
			continue
		}
		next := v.last[a.Channel] + names
		if a.whole != heard(a.Channel, next) {
			return fmt.Errorf("after message %d: %s", v.last[a.Channel], a.whole)
		}
		v.last[a.Channel], v.ids[a.Channel] = next, a.ID
		most--
	}
	return nil
}

// A pong has an id only if all that was before went out.
func TestJSONPongPlace(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 64 << 20}}, r)
	to := <-r.to
	to.Deliver(streamed("other", 0))
	c := openJSONWithin(t, n, "/ws/room", narrowWindow)
	c.says(subscribed("room", streamPlace(0), false))
	c.ask(`{"type":"ping"}`)
	c.says(fmt.Sprintf(`{"type":"pong","id":"%v"}`, streamPlace(0)))
	to.Deliver(gateway.Message{Blank: true, ID: streamID(5)})
	c.ask(`{"type":"ping"}`)
	c.says(fmt.Sprintf(`{"type":"pong","id":"%v"}`, streamPlace(5)))
	const size, count = 100_000, 100
	for i := range count {
		to.Deliver(wide("room", 6+i, size))
	}
	awaitStats(t, n, "it is late", func(st gateway.Stats) bool { return st.LogBytes > 0 })
	c.ask(`{"type":"ping"}`)
	awaitStats(t, n, "it asked", func(st gateway.Stats) bool { return st.Received == 3 })
	pongs := 0
	for i := 0; i < count; {
		a, err := c.read()
		switch {
		case err != nil:
			t.Fatal(err)
		case a.whole == `{"type":"pong"}`:
			pongs++
		case a.whole == heardWide("room", 6+i, size):
			i++
		default:
			t.Fatalf("got %.200s", a.whole)
		}
	}
	if pongs != 1 {
		t.Errorf("%d pongs", pongs)
	}
	awaitStats(t, n, "it has caught up", func(st gateway.Stats) bool { return st.LogBytes == 0 })
	c.ask(`{"type":"ping"}`)
	c.says(fmt.Sprintf(`{"type":"pong","id":"%v"}`, streamPlace(5+count)))
}
