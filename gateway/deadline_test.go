package gateway_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"warren/gateway"
)

// pinging is a gateway that soon pings who is silent. The pong's deadline is
// long enough for a busy machine.
func pinging(t *testing.T, pongTimeout time.Duration) (*node, *recorder) {
	r := newRecorder()
	n := start(t, gateway.Options{
		WebSocket: gateway.WebSocketOptions{PingInterval: 100 * time.Millisecond, PongTimeout: pongTimeout},
		Clients:   gateway.ClientOptions{MaxLag: 64 << 20},
	}, r)
	return n, r
}

const patientPong = 3 * time.Second

// TestLife keeps clients for longer than a silent one lives, each by another
// sign of life.
func TestLife(t *testing.T) {
	t.Parallel()
	n, _ := pinging(t, patientPong)
	signs := []struct {
		name   string
		begin  string
		answer func(ping string) string
		conn   *rawConn
		pings  int
	}{
		{name: "pong", answer: func(ping string) string { return masked(rawFin|rawPong, ping) }},
		{name: "other pong", answer: func(string) string { return masked(rawFin|rawPong, "none of yours") }},
		{name: "ping", answer: func(string) string { return masked(rawFin|rawPing, "") }},
		{name: "message", answer: func(string) string { return masked(rawFin|rawText, "a") }},
		{name: "byte of a message", begin: masked(rawFin|rawBinary, strings.Repeat("x", 60_000))[:8],
			answer: func(string) string { return "x" }},
		{name: "fragment", begin: masked(rawText, ""), answer: func(string) string { return masked(rawCont, "") }},
	}
	for i := range signs {
		signs[i].conn = openRaw(t, n, "/ws/room")
		signs[i].conn.put(signs[i].begin)
	}
	for began := time.Now(); time.Since(began) < patientPong*3/2; {
		for i := range signs {
			sign := &signs[i]
			first, payload := sign.conn.frame()
			for first == rawFin|rawPong {
				first, payload = sign.conn.frame()
			}
			if first != rawFin|rawPing {
				t.Fatalf("%s: got frame %#x %q, want a ping", sign.name, first, payload)
			}
			sign.conn.put(sign.answer(payload))
			sign.pings++
		}
	}
	if st := n.Stats(); st.Dead != 0 || int(st.Clients) != len(signs) || signs[0].pings < 3 {
		t.Errorf("after %d pings each: %+v", signs[0].pings, st)
	}
}

// TestSilence drops a client that answers no ping, as if it had lost its
// network: it is told nothing.
func TestSilence(t *testing.T) {
	t.Parallel()
	n, _ := pinging(t, 300*time.Millisecond)
	began := time.Now()
	c := openRaw(t, n, "/ws/room")
	c.expectFrame(rawFin|rawPing, "")
	c.expectReset()
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("dropped after %v, before the pong was due", took)
	}
	st := awaitStats(t, n, "gone", func(st gateway.Stats) bool { return st.Connections == 0 })
	if st.Dead != 1 || st.Pings != 1 || st.Clients != 0 || st.Channels != 0 || st.Closed[1006] != 1 {
		t.Errorf("counts: %+v", st)
	}
}

// TestSilenceAfterDeliveries: what is written to a dead host's socket proves
// nothing, since the kernel takes it for a while.
func TestSilenceAfterDeliveries(t *testing.T) {
	t.Parallel()
	n, r := pinging(t, 300*time.Millisecond)
	c := openRaw(t, n, "/ws/room")
	to := <-r.to
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); n.Stats().Dead == 0; {
		to.Deliver(gateway.Message{Channel: "room", Payload: []byte("news"), Text: true})
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never given up: %+v", n.Stats())
		}
	}
	if n.Stats().Pings != 1 {
		t.Errorf("counts: %+v", n.Stats())
	}
	_, err := io.Copy(io.Discard, c)
	if err == nil {
		t.Error("dropped in order, want a reset")
	}
}

// TestBlockedReader has a backlog for a client whose socket is full all the
// time. It is alive as long as it takes some, however slowly, and sends
// nothing; and dead once it takes nothing.
func TestBlockedReader(t *testing.T) {
	t.Parallel()
	const size, messages, aTick = 64 << 10, 200, 20 * time.Millisecond
	n, r := pinging(t, patientPong)
	c := openRaw(t, n, "/ws/room")
	if err := c.SetReadBuffer(256 << 10); err != nil { // else it grows to megabytes
		t.Fatal(err)
	}
	to := <-r.to
	for i := range messages {
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, size)})
	}
	tick := time.NewTicker(aTick)
	defer tick.Stop()
	read, buf := 0, make([]byte, 32<<10)
	for began := time.Now(); time.Since(began) < patientPong*3/2; <-tick.C {
		got, err := c.in.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v; %+v", read, err, n.Stats())
		}
		read += got
	}
	if read > messages*size*3/4 {
		t.Fatalf("%d bytes read: too fast for this test to mean anything", read)
	}
	if st := n.Stats(); st.Clients != 1 || st.Dead != 0 {
		t.Fatalf("after %d bytes: %+v", read, st)
	}
	awaitStats(t, n, "dead", func(st gateway.Stats) bool { return st.Dead == 1 && st.Connections == 0 })
}

// TestBusyClientIsNotPinged: pings are for the silent.
func TestBusyClientIsNotPinged(t *testing.T) {
	t.Parallel()
	n := start(t, gateway.Options{
		WebSocket: gateway.WebSocketOptions{PingInterval: time.Second, PongTimeout: patience},
	}, newRecorder())
	c := openRaw(t, n, "/ws/room")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	heard := time.Now()
	for began := heard; time.Since(began) < 3*time.Second; <-tick.C {
		sent := time.Now()
		c.put(masked(rawFin|rawPing, ""))
		if first, _ := c.frame(); first == rawFin|rawPing {
			// Unless this very test was held up for that long.
			if silent := sent.Sub(heard); silent < 500*time.Millisecond && time.Since(sent) < 500*time.Millisecond {
				t.Errorf("pinged after %v of silence", silent)
			}
			c.expectFrame(rawFin|rawPong, "")
		}
		heard = sent
	}
}
