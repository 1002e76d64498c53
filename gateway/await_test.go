package gateway_test

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"warren/gateway"
)

// TestFuture: a client that comes from a node which is ahead waits a moment for
// this one, and goes on exactly behind what it knows.
func TestFuture(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	for i := range 10 {
		to.Deliver(message("room", i))
	}
	const clients = 5
	long := strings.Repeat("hello", 4000) // over what a request may have
	var all []*listener
	for i := range clients {
		l := approach(t, n, since("room", idOf(20+i)), smallWindow)
		if _, err := l.conn.Write([]byte(masked(rawFin|rawText, long))); err != nil { // not read before it is open
			t.Fatal(err)
		}
		all = append(all, l)
	}
	awaitStats(t, n, "they wait", func(st gateway.Stats) bool { return st.Awaited == clients })
	if st := n.Stats(); st.Upgraded != 0 || st.Inbound == 0 {
		t.Errorf("while they wait: %+v", st)
	}
	for i := 10; i < 40; i++ {
		to.Deliver(message("room", i))
	}
	for i, l := range all {
		if gap := l.expectOpen(t); gap {
			t.Errorf("since message %d: Warren-Gap", 20+i)
		}
		l.expectNumbers(t, 20+i+1, 39)
	}
	if got := r.wait(within(t), clients); len(got) != clients || string(got[0].Payload) != long {
		t.Errorf("published: %d messages", len(got))
	}
	awaitStats(t, n, "nothing is kept of requests", func(st gateway.Stats) bool { return st.Inbound == 0 })
}

// TestFutureNever: what doesn't come in time is an unknown id; and so is another
// message that comes at its offset.
func TestFutureNever(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration // of handshakes
		comes   bool
	}{
		{"nothing comes", 0, false},
		{"nothing comes, less time for handshakes", 300 * time.Millisecond, false},
		{"another comes", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := keeping(1000)
			o.WebSocket.HandshakeTimeout = c.timeout
			r := newRecorder()
			n := start(t, o, r)
			to := <-r.to
			for i := range 10 {
				to.Deliver(message("room", i))
			}
			forged := idOf(20)
			forged.Check++
			l := approach(t, n, since("room", forged), smallWindow)
			awaitStats(t, n, "it waits", func(st gateway.Stats) bool { return st.Awaited == 1 })
			last := 9
			if c.comes {
				to.Deliver(message("room", 10))
				to.Deliver(message("room", 20))
				last = 10
			}
			if !l.expectOpen(t) {
				t.Error("no Warren-Gap")
			}
			l.expectNumbers(t, 0, last)
		})
	}
}

// TestFutureLeft: who leaves while it waits leaves nothing behind, and a stop
// doesn't wait.
func TestFutureLeft(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	to.Deliver(message("room", 0))
	var all []*listener
	for i := range 2 {
		all = append(all, approach(t, n, since("room", idOf(9+5*i)), smallWindow))
	}
	awaitStats(t, n, "they wait", func(st gateway.Stats) bool { return st.Awaited == 2 })
	if err := all[0].conn.(*net.TCPConn).SetLinger(0); err != nil { // a FIN would not be seen: it isn't read from
		t.Fatal(err)
	}
	_ = all[0].conn.Close()
	awaitStats(t, n, "one has left", func(st gateway.Stats) bool { return st.Connections == 1 })
	for i := range 15 {
		to.Deliver(message("room", i))
	}
	if all[1].expectOpen(t) {
		t.Error("Warren-Gap")
	}
	last := approach(t, n, since("room", idOf(19)), smallWindow) // now: it waits 2 s at most
	awaitStats(t, n, "it waits", func(st gateway.Stats) bool { return st.Awaited == 3 })
	n.stop()
	answer, err := http.ReadResponse(last.in, nil)
	if err != nil || answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("from a node that stops: %v, %v", answer, err)
	}
	if st := n.Stats(); st.Connections != 0 || st.Inbound != 0 {
		t.Errorf("left behind: %+v", st)
	}
}

// TestUnknownAtOnce: without ids of the exchange's nobody waits for one.
func TestUnknownAtOnce(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	for i := range 10 {
		m := message("room", i)
		m.ID = gateway.ID{}
		to.Deliver(m)
	}
	l, gap := resume(t, n, since("room", idOf(500)), smallWindow)
	if st := n.Stats(); !gap || st.Awaited != 0 {
		t.Errorf("Warren-Gap %v, waited %d times", gap, st.Awaited)
	}
	l.expectNumbers(t, 0, 9)
}

// A node that has no link can't know whether the id is one: it doesn't call it
// unknown.
func TestFutureUnlinked(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	to.Deliver(message("room", 0))
	r.mu.Lock()
	r.status = errors.New("no link")
	r.mu.Unlock()
	l := approach(t, n, since("room", idOf(5)), smallWindow)
	answer, err := http.ReadResponse(l.in, nil)
	if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("answered %v, %v", answer, err)
	}
	known := approach(t, n, since("room", idOf(0)), smallWindow)
	if known.expectOpen(t) {
		t.Error("Warren-Gap for a known id")
	}
}

// What no client gets tells how far the exchange was read: an older id is
// unknown at once, a newer one may be still to come.
func TestBlank(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	root := listen(t, n, "/ws", smallWindow)
	to.Deliver(gateway.Message{ID: idOf(10), Blank: true})
	l := approach(t, n, since("room", idOf(5)), smallWindow)
	if !l.expectOpen(t) {
		t.Error("no Warren-Gap")
	}
	if st := n.Stats(); st.Awaited != 0 || st.Delivered != 0 {
		t.Errorf("counted: %+v", st)
	}
	ahead := approach(t, n, since("room", idOf(11)), smallWindow)
	awaitStats(t, n, "it waits", func(st gateway.Stats) bool { return st.Awaited == 1 })
	to.Deliver(message("room", 11))
	to.Deliver(message("room", 12))
	if ahead.expectOpen(t) {
		t.Error("Warren-Gap")
	}
	ahead.expectNumbers(t, 12, 12)
	l.expectNumbers(t, 11, 12)
	root.expectNumbers(t, 11, 12)
}
