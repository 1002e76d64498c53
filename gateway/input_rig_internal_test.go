package gateway

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// tape is an exchange that keeps what is published, while it has room.
type tape struct {
	room      int // messages
	published []Message
}

func (e *tape) Publish(m Message) error {
	if e.room == 0 {
		return ErrBusy
	}
	e.room--
	m.Payload = bytes.Clone(m.Payload)
	e.published = append(e.published, m)
	return nil
}

func (e *tape) Run(context.Context, Receiver) error { return nil }
func (e *tape) Status() error                       { return nil }
func (e *tape) Flush(context.Context) error         { return nil }

const endless = 1 << 30

// inputRig is a shard that no loop runs, and one client of it over a local
// socket. The shard outlives its clients: what one leaves behind is found.
type inputRig struct {
	g    *Gateway
	s    *shard
	tape *tape

	c      *client
	peer   int // the other end
	output []byte
	ended  bool // the shard has shut its side
}

func newInputRig(t testing.TB) *inputRig {
	t.Helper()
	r := new(inputRig)
	r.open(t)
	t.Cleanup(func() { r.close(t) })
	return r
}

func (r *inputRig) open(t testing.TB) {
	t.Helper()
	e := new(tape)
	g, err := New(Options{}, e)
	if err != nil {
		t.Fatal(err)
	}
	g.maxClients = 10
	s, err := newShard(g, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.shards = []*shard{s}
	*r = inputRig{g: g, s: s, tape: e}
}

func (r *inputRig) close(t testing.TB) {
	if err := r.s.poller.Close(); err != nil {
		t.Error(err)
	}
}

// renew begins afresh after a run that failed: a fuzzer goes on with smaller
// inputs.
func (r *inputRig) renew(t testing.TB) {
	if !t.Failed() {
		return
	}
	if r.c != nil && r.c.state != gone {
		_ = unix.Close(r.peer)
		_ = unix.Close(r.c.sock())
	}
	r.close(t)
	r.open(t)
}

var inputJunk = bytes.Repeat([]byte{0xaa}, readBuffer)

const inputHead = "GET /ws/room HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// connect makes a client, which sends its handshake and what comes with it.
func (r *inputRig) connect(t testing.TB, first []byte) {
	t.Helper()
	r.tape.room, r.tape.published = endless, nil
	r.output, r.ended = nil, false
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	r.peer = fds[1]
	r.g.conns.Add(1)
	r.s.conns.Add(1)
	r.s.adopt(fds[0], netip.AddrPort{})
	for _, slot := range r.s.slots {
		if slot.c != nil && slot.c.sock() == fds[0] {
			r.c = slot.c
		}
	}
	r.feed(t, append([]byte(inputHead), first...))
	head, behind, found := bytes.Cut(r.output, []byte("\r\n\r\n"))
	if !found || !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("handshake: %q", r.output)
	}
	r.output = behind
}

// feed sends b at once, lets the shard handle it, and takes its output.
func (r *inputRig) feed(t testing.TB, b []byte) {
	t.Helper()
	if n := r.send(t, b); n != len(b) {
		t.Fatalf("sent %d of %d bytes", n, len(b))
	}
}

// send is feed, but for what the socket doesn't take.
func (r *inputRig) send(t testing.TB, b []byte) int {
	t.Helper()
	n, err := unix.Write(r.peer, b)
	if err != nil && err != unix.EAGAIN {
		t.Fatal(err)
	}
	r.turn(t)
	return max(n, 0)
}

// turn is what the loop would do now.
func (r *inputRig) turn(t testing.TB) {
	t.Helper()
	if err := r.s.poll(); err != nil {
		t.Fatal(err)
	}
	// Whoever kept a part of the shared buffer will see this.
	copy(r.s.buf[:], inputJunk)
	for b := make([]byte, 4<<10); !r.ended; {
		n, err := unix.Read(r.peer, b)
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		r.output = append(r.output, b[:n]...)
		r.ended = n == 0
	}
	r.check(t)
}

// check looks at the books.
func (r *inputRig) check(t testing.TB) {
	t.Helper()
	var sum int64
	for _, h := range r.s.holds {
		sum += h.charged
		if least := len(h.buf) + int(unsafe.Sizeof(*h)); h.charged < int64(least) {
			t.Fatalf("a hold takes %d bytes and is charged %d", least, h.charged)
		}
		if h.off > len(h.buf)/2 {
			t.Fatalf("%d of %d bytes held are published", h.off, len(h.buf))
		}
	}
	for i, c := range r.s.partials {
		in := c.in
		if in.index != i {
			t.Fatalf("incomplete input %d believes to be %d", i, in.index)
		}
		if want := int64(inboundCost + len(in.msg)); in.charged != want {
			t.Fatalf("%d bytes charged for %d of a message, want %d", in.charged, len(in.msg), want)
		}
		if cap(in.msg) > 2*len(in.msg)+64 || cap(in.head) > 2*maxHeadIn {
			t.Fatalf("%d bytes of a message take %d, %d of a header %d", len(in.msg), cap(in.msg), len(in.head), cap(in.head))
		}
		sum += in.charged
	}
	if got := r.g.inbound.Load(); got != sum {
		t.Fatalf("memory.inbound: %d bytes are used, %d charged", got, sum)
	}
	if (r.c.in != nil) != slices.Contains(r.s.partials, r.c) {
		t.Fatalf("input kept: %+v; but not among the %d that are charged, or the reverse", r.c.in, len(r.s.partials))
	}
}

// disconnect ends the only connection, and looks for what it left.
func (r *inputRig) disconnect(t testing.TB) {
	t.Helper()
	r.leave(t)
	r.expectNothingLeft(t)
}

// leave ends the connection.
func (r *inputRig) leave(t testing.TB) {
	t.Helper()
	if err := unix.Close(r.peer); err != nil {
		t.Fatal(err)
	}
	r.ended = true
	for range 3 { // its bytes, then its end
		r.turn(t)
	}
	r.tape.room = endless
	r.s.publishHeld()
	if r.c.state != gone {
		t.Fatalf("its peer gone, a client is in state %d", r.c.state)
	}
}

func (r *inputRig) expectNothingLeft(t testing.TB) {
	t.Helper()
	for name, n := range map[string]int64{
		"bytes of memory.inbound": r.g.inbound.Load(),
		"connections":             r.g.conns.Load() + r.s.conns.Load(),
		"clients":                 r.g.clients.Load(),
		"clients held back":       r.g.holding.Load(),
		"channels":                int64(len(r.g.channels)),
		"incomplete inputs":       int64(len(r.s.partials)),
		"holds":                   int64(len(r.s.holds)),
		"audiences":               int64(len(r.s.audiences) + len(r.s.latecomers)),
		"pings":                   int64(len(r.s.ping)),
		"slots in use":            int64(len(r.s.slots) - len(r.s.free)),
	} {
		if n != 0 {
			t.Errorf("after all clients left: %d %s", n, name)
		}
	}
}

// frames takes the output apart.
func (r *inputRig) frames(t testing.TB) (frames []ws.Frame) {
	t.Helper()
	in := bytes.NewReader(r.output)
	for in.Len() > 0 {
		h, err := ws.ReadHeader(in)
		if err == nil {
			err = ws.CheckHeader(h, ws.StateClientSide)
		}
		payload := make([]byte, max(0, min(h.Length, int64(in.Len()))))
		if n, _ := in.Read(payload); err != nil || int64(n) != h.Length {
			t.Fatalf("output % x: %v", r.output, err)
		}
		frames = append(frames, ws.Frame{Header: h, Payload: payload})
	}
	return frames
}
