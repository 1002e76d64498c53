package gateway

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"warren/gateway/frame"
)

// stage is a shard that no loop runs, with clients over local sockets.
type stage struct {
	g       *Gateway
	s       *shard
	clients []*actor
}

// actor is a client on a stage.
type actor struct {
	peer int // the other end of its socket
	c    *client
	got  []byte
}

func newStage(t testing.TB, o Options) *stage {
	t.Helper()
	g := keeper(t, o)
	g.maxClients = 1000
	s, err := newShard(g, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.shards = []*shard{s}
	st := &stage{g: g, s: s}
	t.Cleanup(func() {
		for _, a := range st.clients {
			_ = unix.Close(a.peer)
			if a.c.state != gone {
				_ = unix.Close(a.c.sock())
			}
		}
		if err := s.poller.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// ask connects a client and sends its request, which the shard doesn't see yet.
func (st *stage) ask(t testing.TB, path string) *actor {
	t.Helper()
	a := st.connect(t)
	a.send(t, "GET "+path+inputHead[len("GET /ws/room"):])
	return a
}

func (st *stage) connect(t testing.TB) *actor {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	st.g.conns.Add(1)
	st.s.conns.Add(1)
	st.s.adopt(fds[0], netip.AddrPort{})
	a := &actor{peer: fds[1]}
	for _, slot := range st.s.slots {
		if slot.c != nil && slot.c.sock() == fds[0] {
			a.c = slot.c
		}
	}
	st.clients = append(st.clients, a)
	return a
}

func (a *actor) send(t testing.TB, b string) {
	t.Helper()
	if n, err := unix.Write(a.peer, []byte(b)); err != nil || n != len(b) {
		t.Fatalf("sent %d bytes, %v", n, err)
	}
}

// take reads what there is, and returns how much it was.
func (a *actor) take(t testing.TB) (n int) {
	t.Helper()
	for buf := make([]byte, 64<<10); ; {
		got, err := unix.Read(a.peer, buf)
		if err == unix.EAGAIN || err == unix.ECONNRESET || got == 0 {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		a.got = append(a.got, buf[:got]...)
		n += got
	}
}

// events is a round of the loop without deliveries; sweep is the rest of it.
func (st *stage) events(t testing.TB) {
	t.Helper()
	if err := st.s.poll(); err != nil {
		t.Fatal(err)
	}
	st.s.catchUpAt = st.s.now - 1 // each round has a millisecond of its own
	st.s.catchUpSome()
}

func (st *stage) sweep() {
	st.s.readMail()
	st.s.sweep(sweepWrites)
}

// payloads takes apart what a client got behind its 101.
func (a *actor) payloads(t testing.TB) (all []string) {
	t.Helper()
	a.take(t)
	_, b, found := bytes.Cut(a.got, []byte("\r\n\r\n"))
	if !found {
		t.Fatalf("no answer: %.100q", a.got)
	}
	for len(b) > 0 {
		h, n, err := frame.Decode(b)
		if err != nil || n == 0 || len(b) < n+int(h.Length) {
			t.Fatalf("no frame: %.20q, %v", b, err)
		}
		all = append(all, string(b[n:n+int(h.Length)]))
		b = b[n+int(h.Length):]
	}
	return all
}

func (st *stage) deliver(numbers ...int) {
	for _, i := range numbers {
		st.g.Deliver(Message{Channel: "room", Payload: fmt.Append(nil, i), ID: ID{uint64(i), 1}})
	}
}
