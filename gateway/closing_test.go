package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"warren/gateway"
)

// stopping stops n in the background; the result is closed when it has stopped.
func stopping(t *testing.T, n *node) (stopped <-chan struct{}) {
	done := make(chan struct{})
	go func() { defer close(done); n.stop() }()
	t.Cleanup(func() { <-done })
	return done
}

// TestPeerCloses wants the peer's code back if endpoints may send it, and an
// orderly end of the connection.
func TestPeerCloses(t *testing.T) {
	type test struct {
		name, body string
		code       int // of the answer; 0: it has no body
	}
	tests := []test{
		{"no body", "", 0},
		{"one byte", "\x03", 1002},
		{"reason", closeBody(1000, "bye"), 1000},
		{"longest reason", closeBody(1001, strings.Repeat("€", 41)), 1001},
		{"reason that is no UTF-8", closeBody(1000, "\xff"), 1007},
		{"reason cut in a rune", closeBody(1000, "\xe2\x82"), 1007},
		{"surrogate in the reason", closeBody(1000, "\xed\xa0\x80"), 1007},
		{"bad code and bad reason", closeBody(1005, "\xff"), 1002},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		tests = append(tests, test{fmt.Sprint(code), closeBody(code, ""), code})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		tests = append(tests, test{fmt.Sprint("bad ", code), closeBody(code, ""), 1002})
	}
	n := start(t, gateway.Options{}, newRecorder())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, write := range []func(*rawConn, ...string){(*rawConn).put, (*rawConn).drip} {
				c := openRaw(t, n, "/ws/room")
				write(c, masked(rawFin|rawClose, tt.body))
				c.expectClose(tt.code)
				c.expectEnd()
			}
		})
	}
	// 1000 to 1004 of the table were sent as they came.
	if st := n.Stats(); st.Clients != 0 || st.Closed[1013] != 2 || st.Closed[1006] != 0 {
		t.Errorf("counts of the closing: %+v", st)
	}
}

// TestCloseBetweenFragments has a close frame end a message that never will.
func TestCloseBetweenFragments(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{}, r)
	c := openRaw(t, n, "/ws/room")
	c.put(masked(rawText, "never"), masked(rawFin|rawClose, closeBody(1000, "")))
	c.expectClose(1000)
	c.expectEnd()
	if got := r.wait(t.Context(), 0); len(got) > 0 {
		t.Errorf("published: %v", got)
	}
}

// TestDataAfterClose wants nothing taken from a client that has sent its close
// frame, nor from one that broke the protocol; nor may its input, however
// much, cost it the close frame.
func TestDataAfterClose(t *testing.T) {
	for _, tt := range []struct {
		name, end string
		code      int
	}{
		{"close frame", masked(rawFin|rawClose, closeBody(1000, "")), 1000},
		{"protocol error", masked(rawFin|3, ""), 1002},
		{"bad text", masked(rawFin|rawText, "\xff"), 1007},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRecorder()
			n := start(t, gateway.Options{}, r)
			c := connectNarrow(t, n)
			c.put(upgradeHead("/ws/room"))
			c.expectOpen()
			large := string(numbered(0, narrow))
			(<-r.to).Deliver(gateway.Message{Channel: "room", Payload: []byte(large)})
			if _, err := c.in.Peek(1); err != nil { // it was begun
				t.Fatal(err)
			}
			c.put(masked(rawFin|rawText, "before"), tt.end, masked(rawFin|rawText, "after"), masked(rawFin|rawPing, ""))
			<-c.flood(4 << 20)
			c.expectFrame(rawFin|rawBinary, large)
			c.expectClose(tt.code)
			c.expectEnd()
			_ = c.Close()
			n.stop()
			if got := r.wait(t.Context(), 0); len(got) != 1 || string(got[0].Payload) != "before" {
				t.Errorf("published: %v", got)
			}
		})
	}
}

// TestCloseAfterBegunFrame: of a large message, a part has left when the client
// closes. The rest of it must come, nothing of the next, then the close frame.
func TestCloseAfterBegunFrame(t *testing.T) {
	const size = 1 << 20
	for _, tt := range []struct {
		name, end string
		code      int
	}{
		{"close frame", masked(rawFin|rawClose, closeBody(1003, "")), 1003},
		{"protocol error", "\x81\x00", 1002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRecorder()
			n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 8 * size, CloseTimeout: patience}}, r)
			c := openRaw(t, n, "/ws/room")
			to := <-r.to
			large := strings.Repeat("0123456789abcdef", size/16)
			to.Deliver(gateway.Message{Channel: "room", Payload: []byte(large)})
			if _, err := c.in.Peek(100); err != nil { // it was begun
				t.Fatal(err)
			}
			to.Deliver(gateway.Message{Channel: "room", Payload: []byte("next")})
			c.put(tt.end, masked(rawFin|rawText, "after"))
			awaitStats(t, n, "closing", func(st gateway.Stats) bool { return st.Closed[tt.code] == 1 })
			c.expectFrame(rawFin|rawBinary, large)
			c.expectClose(tt.code)
			c.expectEnd()
			if got := r.wait(t.Context(), 0); len(got) > 0 {
				t.Errorf("published: %v", got)
			}
		})
	}
}

// TestStop wants every client told, what it sends before its own close frame
// published, and the connection ended in order.
func TestStop(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{CloseTimeout: patience}}, r)
	c := openRaw(t, n, "/ws/room")
	begun := openRaw(t, n, "/ws/begun")
	begun.put(masked(rawText, "a"), masked(rawFin, "bc")[:7])
	half := connectRaw(t, n)
	half.put("GET /ws HTTP/1.1\r\n")
	awaitStats(t, n, "three connections", func(st gateway.Stats) bool { return st.Connections == 3 })
	stopped := stopping(t, n)

	half.expectCut()
	c.expectClose(1012)
	c.put(masked(rawFin|rawText, "under way"), masked(rawText, "frag"), masked(rawFin|rawPing, ""), masked(rawFin, "ments"))
	begun.expectClose(1012)
	begun.put(masked(rawFin, "bc")[7:])
	got := map[string]string{}
	for _, m := range r.wait(within(t), 3) {
		got[string(m.Payload)] = m.Channel
	}
	if len(got) != 3 || got["under way"] != "room" || got["fragments"] != "room" || got["abc"] != "begun" {
		t.Errorf("published: %v", got)
	}
	for _, c := range []*rawConn{c, begun} {
		c.put(masked(rawFin|rawClose, closeBody(1012, "")), masked(rawFin|rawText, "too late"))
		c.expectEnd()
		_ = c.Close()
	}
	<-stopped
	if got := r.wait(t.Context(), 3); len(got) != 3 {
		t.Errorf("published after the close frame: %v", got[3:])
	}
	if st := n.Stats(); st.Connections != 0 || st.Clients != 0 || st.Stuck != 0 || st.Closed[1012] != 2 {
		t.Errorf("counts after the stop: %+v", st)
	}
}

// TestStopWithBacklog wants the bytes that a slow reader has coming to arrive
// in full, though it keeps sending.
func TestStopWithBacklog(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{
		Clients: gateway.ClientOptions{MaxLag: 4 << 20, CloseTimeout: patience},
	}, r)
	c := openRaw(t, n, "/ws/room")
	to := <-r.to
	const messages, size = 600, 1000
	for i := range messages {
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, size)})
	}
	stopped := stopping(t, n)
	awaitStats(t, n, "closing", func(st gateway.Stats) bool { return st.Closed[1012] == 1 })
	c.put(strings.Repeat(masked(rawFin|rawBinary, strings.Repeat("x", 1000)), 50))
	for i := range messages {
		c.expectFrame(rawFin|rawBinary, string(numbered(i, size)))
	}
	c.expectClose(1012)
	c.put(masked(rawFin|rawClose, closeBody(1012, "")))
	c.expectEnd()
	_ = c.Close()
	<-stopped
	if got := len(r.wait(t.Context(), 50)); got != 50 {
		t.Errorf("%d messages published, want 50", got)
	}
	if st := n.Stats(); st.Stuck != 0 || st.Evicted != 0 {
		t.Errorf("counts after the stop: %+v", st)
	}
}

// TestCloseTimeout resets peers that don't play their part of the closing.
func TestCloseTimeout(t *testing.T) {
	opened := func(t *testing.T) (*node, *rawConn) {
		n := start(t, gateway.Options{Clients: gateway.ClientOptions{CloseTimeout: 300 * time.Millisecond}}, newRecorder())
		return n, openRaw(t, n, "/ws/room")
	}
	reset := func(t *testing.T, n *node) {
		awaitStats(t, n, "reset", func(st gateway.Stats) bool { return st.Stuck == 1 && st.Connections == 0 })
	}
	for name, send := range map[string]string{
		"no close frame":           "",
		"data, but no close frame": masked(rawFin|rawText, "a"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, c := opened(t)
			stopped := stopping(t, n)
			c.expectClose(1012)
			c.put(send)
			c.expectReset()
			<-stopped
			reset(t, n)
		})
	}
	for _, tt := range []struct {
		name, send string
		code       int
	}{
		{"no FIN after its close frame", masked(rawFin|rawClose, closeBody(1000, "")), 1000},
		{"no FIN after a protocol error", "\x81\x00", 1002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, c := opened(t)
			c.put(tt.send)
			c.expectClose(tt.code)
			c.expectEnd()
			reset(t, n)
		})
	}
}

// TestFrozenAtStop: a peer that reads nothing must not hold up a stop.
func TestFrozenAtStop(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{CloseTimeout: 300 * time.Millisecond}}, r)
	openRaw(t, n, "/ws/room")
	to := <-r.to
	for i := range 600 {
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, 1000)})
	}
	n.stop()
	if st := n.Stats(); st.Stuck != 1 || st.Connections != 0 {
		t.Errorf("counts after the stop: %+v", st)
	}
}

// TestPeerVanishes has clients end their connection without a close frame.
func TestPeerVanishes(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*rawConn) error
	}{
		{"FIN", (*rawConn).CloseWrite},
		{"RST", func(c *rawConn) error {
			if err := c.SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		}},
		{"FIN in a message", func(c *rawConn) error {
			c.put(masked(rawFin|rawText, "begun")[:8])
			return c.CloseWrite()
		}},
		{"FIN in the head", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, gateway.Options{}, newRecorder())
			if tt.end == nil {
				c := connectRaw(t, n)
				c.put("GET /ws HTTP/1.1\r\n")
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				c.expectCut()
				awaitStats(t, n, "gone", func(st gateway.Stats) bool { return st.Accepted == 1 && st.Connections == 0 })
				return
			}
			c := openRaw(t, n, "/ws/room")
			c.put(masked(rawFin|rawPing, "")) // its channel stands
			c.expectFrame(rawFin|rawPong, "")
			if err := tt.end(c); err != nil {
				t.Fatal(err)
			}
			st := awaitStats(t, n, "gone", func(st gateway.Stats) bool { return st.Connections == 0 })
			if st.Clients != 0 || st.Channels != 0 || st.Inbound != 0 || st.Closed[1006] != 1 {
				t.Errorf("what is left: %+v", st)
			}
		})
	}
}

// TestHalfClosedWhileLate wants a client that sends its close frame and then
// its FIN, while it has frames coming, to get the one that was begun in full and
// the close frame.
func TestHalfClosedWhileLate(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{}, r)
	to := <-r.to
	c := connectNarrow(t, n)
	c.put(upgradeHead("/ws/room"))
	c.expectOpen()
	big := strings.Repeat("x", 200<<10)
	for range 3 {
		to.Deliver(gateway.Message{Channel: "room", Payload: []byte(big)})
	}
	awaitStats(t, n, "the client is late", func(st gateway.Stats) bool { return st.LogBytes > 0 })
	c.put(masked(rawFin|rawClose, closeBody(1000, "")))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	awaitStats(t, n, "its close frame is read", func(st gateway.Stats) bool { return st.Clients == 0 })
	for {
		first, body := c.frame()
		if first == rawFin|rawClose {
			if body != closeBody(1000, "") {
				t.Errorf("closed with %q", body)
			}
			break
		}
		if first != rawFin|rawBinary || body != big {
			t.Fatalf("got frame %#x of %d bytes", first, len(body))
		}
	}
	c.expectEnd()
}
