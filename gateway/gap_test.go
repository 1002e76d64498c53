package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"warren/gateway"
)

// TestGap: whoever resumes across lost messages is told, and loses no others.
func TestGap(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	listener := listen(t, n, "/ws/room", smallWindow)
	for i := range 30 {
		if i%10 == 0 && i > 0 {
			to.Gap(gateway.Gap{Reason: "test", Lasted: time.Second, Lost: 3, Known: true})
		}
		to.Deliver(message("room", i))
	}
	for i := range 30 {
		for _, channel := range []string{"room", ""} {
			path := strings.Replace(since(channel, idOf(i)), "/?", "?", 1)
			l, gap := resume(t, n, path, smallWindow)
			if want := i < 20; gap != want {
				t.Errorf("%s: Warren-Gap %v, want %v", path, gap, want)
			}
			l.expectNumbers(t, i+1, 29)
		}
	}
	if _, gap := resume(t, n, "/ws/room?history=30", smallWindow); gap {
		t.Error("a client that knows nothing misses something")
	}
	listener.expectNumbers(t, 0, 29) // it was not closed
	if st := n.Stats(); st.Gaps != 2 || len(st.Closed) != 0 {
		t.Errorf("%d gaps, closed %v", st.Gaps, st.Closed)
	}
}

// TestGapClose: with that policy all who were there are closed, after what was
// before the gap; who comes later isn't.
func TestGapClose(t *testing.T) {
	const size, before = 4 << 10, 100
	o := keeping(1000)
	o.Clients = gateway.ClientOptions{OnGap: gateway.GapClose, MaxLag: 4 << 20, CloseTimeout: patience}
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	all := []*listener{
		listen(t, n, "/ws/room", smallWindow),
		listen(t, n, "/ws/room", smallWindow),
		listen(t, n, "/ws", smallWindow),
	}
	for i := range before { // more than their sockets take
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, size)})
	}
	all = append(all, listen(t, n, "/ws/room?history=1000", smallWindow), listen(t, n, "/ws?history=1000", smallWindow))
	to.Gap(gateway.Gap{Reason: "test"})
	after, quiet := listen(t, n, "/ws/room", smallWindow), listen(t, n, "/ws/quiet", smallWindow)
	for i := range 10 {
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(before+i, size)})
	}
	awaitStats(t, n, "all are closed", func(st gateway.Stats) bool { return st.Closed[1012] == 5 })
	for i, l := range all {
		l.expectNumbers(t, 0, before-1)
		for j := before; ; j++ { // what was written before the gap was seen
			b, err := l.next()
			if err == nil && number(b) == j {
				continue
			}
			if closed := (closedError{}); !errors.As(err, &closed) || closed.code != 1012 || closed.reason != "messages were lost" {
				t.Errorf("client %d, after message %d: %v", i, j-1, err)
			}
			break
		}
	}
	after.expectNumbers(t, before, before+9)
	quiet.expectNothing(t)
	to.Gap(gateway.Gap{Reason: "test"})
	for _, l := range []*listener{after, quiet} {
		if _, err := l.next(); !errors.Is(err, closedError{1012, "messages were lost"}) {
			t.Errorf("after the second gap: %v", err)
		}
	}
}

// TestAwaitExchange: nobody is let in before the exchange was linked once; then
// everybody, whatever becomes of it.
func TestAwaitExchange(t *testing.T) {
	r := newRecorder()
	set := func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.status = err
	}
	set(errors.New("replaying"))
	n := start(t, gateway.Options{AwaitExchange: true}, r)
	for range 2 {
		c := connectRaw(t, n)
		c.put(upgradeHead("/ws/room"))
		resp, reason := c.expectRefusal(503)
		if resp.Header.Get("Retry-After") == "" || !strings.Contains(reason, "exchange") {
			t.Errorf("%v %q", resp.Header, reason)
		}
	}
	c := connectRaw(t, n)
	c.put(plainHead("GET /healthz"))
	if resp, _ := c.response(); resp.StatusCode != 200 {
		t.Errorf("/healthz: %s", resp.Status)
	}
	set(nil)
	openRaw(t, n, "/ws/room")
	set(errors.New("gone again"))
	openRaw(t, n, "/ws/room")
}

// A message that is too large is a gap in its channel and in root, and
// nowhere else.
func TestGapOfLargeMessage(t *testing.T) {
	o := keeping(1000)
	o.Clients.OnGap = gateway.GapClose
	o.WebSocket.MaxDeliverSize = 1000
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	room, root, hall := listen(t, n, "/ws/room", smallWindow), listen(t, n, "/ws", smallWindow), listen(t, n, "/ws/hall", smallWindow)
	to.Deliver(message("hall", 0))
	to.Deliver(message("room", 1))
	to.Deliver(gateway.Message{Channel: "room", Payload: make([]byte, 1001), ID: idOf(2)})
	to.Deliver(message("hall", 3))
	root.expectNumbers(t, 0, 1)
	room.expectNumbers(t, 1, 1)
	for name, l := range map[string]*listener{"room": room, "root": root} {
		for {
			_, err := l.next() // root may have heard the last one
			if err == nil {
				continue
			}
			if !errors.Is(err, closedError{1012, "messages were lost"}) {
				t.Errorf("%s: %v", name, err)
			}
			break
		}
	}
	hall.expectNumbers(t, 0, 0)
	hall.expectNumbers(t, 3, 3)
	for path, want := range map[string]bool{
		since("room", idOf(1)): true, since("hall", idOf(0)): false, "/ws?since=" + idOf(1).String(): true, "/ws?since=" + idOf(3).String(): false,
	} {
		if gap := approach(t, n, path, smallWindow).expectOpen(t); gap != want {
			t.Errorf("%s: Warren-Gap %v", path, gap)
		}
	}
	if st := n.Stats(); st.Oversize != 1 || st.Closed[1012] != 2 {
		t.Errorf("counted: %+v", st)
	}
}
