package poll_test

import (
	"cmp"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"warren/gateway/poll"
)

// patience bounds waits for what must happen, in milliseconds.
const patience = 30_000

func open(t *testing.T, batch int) *poll.Poller {
	t.Helper()
	p, err := poll.New(batch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// descriptor is one that the test closes at its end, or before.
type descriptor struct {
	fd     int
	closed bool
}

func own(t *testing.T, fd int) *descriptor {
	t.Helper()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	d := &descriptor{fd: fd}
	t.Cleanup(d.close)
	return d
}

func (d *descriptor) close() {
	if !d.closed {
		d.closed = true
		_ = unix.Close(d.fd)
	}
}

// pair is two ends of a local stream.
func pair(t *testing.T) (ours, peer *descriptor) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	return own(t, fds[0]), own(t, fds[1])
}

// tcpPair is two ends of a connection over the loopback: ours a bare
// descriptor.
func tcpPair(t *testing.T) (ours *descriptor, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialed.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := accepted.(*net.TCPConn).File() // a duplicate
	_ = accepted.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return own(t, fd), dialed.(*net.TCPConn)
}

// wait is what Wait returns, in the order of tokens: nothing, now and then, if
// a signal of the runtime came first.
func wait(t *testing.T, p *poll.Poller, ms int) []poll.Event {
	t.Helper()
	events, err := p.Wait(nil, ms)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(events, func(a, b poll.Event) int { return cmp.Compare(a.Token, b.Token) })
	return events
}

// expect waits for exactly these events, which must be ready or about to be.
func expect(t *testing.T, p *poll.Poller, want ...poll.Event) {
	t.Helper()
	if got := await(t, p); !slices.Equal(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// await is the next events.
func await(t *testing.T, p *poll.Poller) []poll.Event {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience*time.Millisecond; {
		if events := wait(t, p, patience); len(events) > 0 {
			return events
		}
	}
	return nil
}

// expectNone looks, and must see nothing.
func expectNone(t *testing.T, p *poll.Poller) {
	t.Helper()
	if got := wait(t, p, 0); len(got) > 0 {
		t.Fatalf("got %+v, want nothing", got)
	}
}

// expectQuiet waits, and must see nothing and sleep meanwhile. A signal may end
// a wait early, but not most of them.
func expectQuiet(t *testing.T, p *poll.Poller) {
	t.Helper()
	begin := time.Now()
	for range 10 {
		if got := wait(t, p, 20); len(got) > 0 {
			t.Fatalf("got %+v, want nothing", got)
		}
	}
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("ten waits of 20 ms took %v", took)
	}
}

func add(t *testing.T, p *poll.Poller, d *descriptor, token uint64, in poll.Interest) {
	t.Helper()
	if err := p.Add(d.fd, token, in); err != nil {
		t.Fatal(err)
	}
}

func modify(t *testing.T, p *poll.Poller, d *descriptor, token uint64, in poll.Interest) {
	t.Helper()
	if err := p.Modify(d.fd, token, in); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, d *descriptor, s string) {
	t.Helper()
	if n, err := unix.Write(d.fd, []byte(s)); n != len(s) || err != nil {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(s), err)
	}
}

func read(t *testing.T, d *descriptor) string {
	t.Helper()
	var b [64]byte
	n, err := unix.Read(d.fd, b[:])
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// fill writes until the socket is full.
func fill(t *testing.T, d *descriptor) {
	t.Helper()
	b := make([]byte, 4096)
	for {
		if _, err := unix.Write(d.fd, b); err == unix.EAGAIN || err == unix.ENOBUFS {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// empty reads until nothing is left.
func empty(t *testing.T, d *descriptor) {
	t.Helper()
	b := make([]byte, 4096)
	for {
		if n, err := unix.Read(d.fd, b); err == unix.EAGAIN {
			return
		} else if n == 0 || err != nil {
			t.Fatalf("read %d bytes: %v", n, err)
		}
	}
}

// large is a token that needs all of its 64 bits, as a generation and a slot.
const large = 0xfedcba98_76543210

func TestReadable(t *testing.T) {
	p := open(t, 8)
	ours, peer := pair(t)
	add(t, p, ours, large, poll.Read)
	expectNone(t, p)
	write(t, peer, "ab")
	for range 3 { // level-triggered: as long as there is something
		expect(t, p, poll.Event{Token: large, Readable: true})
	}
	if got := read(t, ours); got != "ab" {
		t.Fatalf("read %q", got)
	}
	expectNone(t, p)
}

func TestWritable(t *testing.T) {
	p := open(t, 8)
	ours, peer := pair(t)
	add(t, p, ours, large, poll.Write)
	for range 3 {
		expect(t, p, poll.Event{Token: large, Writable: true})
	}
	fill(t, ours)
	expectNone(t, p)
	empty(t, peer)
	expect(t, p, poll.Event{Token: large, Writable: true})
}

func TestModify(t *testing.T) {
	p := open(t, 8)
	ours, peer := pair(t)
	write(t, peer, "a")
	const other = 7
	add(t, p, ours, large, 0)
	expectNone(t, p)
	modify(t, p, ours, large, poll.Read)
	expect(t, p, poll.Event{Token: large, Readable: true})
	modify(t, p, ours, large, 0)
	expectNone(t, p)
	modify(t, p, ours, other, poll.Write) // and a new token
	expect(t, p, poll.Event{Token: other, Writable: true})
	modify(t, p, ours, other, poll.Read|poll.Write)
	// Together on epoll, one by one on a kqueue.
	var readable, writable bool
	for _, e := range await(t, p) {
		readable, writable = readable || e.Readable, writable || e.Writable
		if e.Token != other || e.Hangup {
			t.Errorf("got %+v", e)
		}
	}
	if !readable || !writable {
		t.Errorf("readable %v, writable %v; want both", readable, writable)
	}
}

func TestRemove(t *testing.T) {
	p := open(t, 8)
	ours, peer := pair(t)
	add(t, p, ours, 1, poll.Read)
	write(t, peer, "a")
	expect(t, p, poll.Event{Token: 1, Readable: true})
	if err := p.Remove(ours.fd); err != nil {
		t.Fatal(err)
	}
	expectNone(t, p)
	add(t, p, ours, 2, poll.Read) // it may come back
	expect(t, p, poll.Event{Token: 2, Readable: true})
}

// TestReusedDescriptor: events of a new connection never bear the token of the
// one that had its descriptor before.
func TestReusedDescriptor(t *testing.T) {
	p := open(t, 8)
	var last int
	for generation := range uint64(100) {
		ours, peer := pair(t)
		if generation > 0 && ours.fd != last {
			t.Fatalf("descriptor %d, then %d: nothing was reused", last, ours.fd)
		}
		last = ours.fd
		token := generation<<32 | 5
		add(t, p, ours, token, poll.Read)
		write(t, peer, "a") // left unread
		expect(t, p, poll.Event{Token: token, Readable: true})
		p.Forget(ours.fd)
		ours.close()
		peer.close()
		expectNone(t, p)
	}
}

// TestHalfClosed: the peer's FIN can be read, and is no hang-up; unread, it
// must not keep a poller busy that has its reads off.
func TestHalfClosed(t *testing.T) {
	p := open(t, 8)
	ours, peer := tcpPair(t)
	add(t, p, ours, 1, poll.Read)
	expectNone(t, p)
	if err := peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expect(t, p, poll.Event{Token: 1, Readable: true})
	if got := read(t, ours); got != "" {
		t.Fatalf("read %q, want the end", got)
	}
	modify(t, p, ours, 1, 0)
	expectNone(t, p)
	modify(t, p, ours, 1, poll.Write) // our side is still open
	expect(t, p, poll.Event{Token: 1, Writable: true})
}

func TestHangup(t *testing.T) {
	reset := func(t *testing.T, peer *net.TCPConn) {
		if err := peer.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		if err := peer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("reset", func(t *testing.T) {
		p := open(t, 8)
		ours, peer := tcpPair(t)
		add(t, p, ours, 1, poll.Read|poll.Write)
		reset(t, peer)
		for {
			events := await(t, p)
			if len(events) == 0 || events[0].Token != 1 {
				t.Fatalf("got %+v, want a hang-up", events)
			}
			if slices.ContainsFunc(events, func(e poll.Event) bool { return e.Hangup }) {
				return
			}
		}
	})
	t.Run("closed on both sides", func(t *testing.T) {
		p := open(t, 8)
		ours, peer := tcpPair(t)
		if err := unix.Shutdown(ours.fd, unix.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		if err := peer.Close(); err != nil {
			t.Fatal(err)
		}
		add(t, p, ours, 1, poll.Read)
		for {
			events := await(t, p)
			if len(events) == 0 || !events[0].Readable && !events[0].Hangup {
				t.Fatalf("got %+v, want the end", events)
			}
			if read(t, ours) == "" {
				return
			}
		}
	})
}

func TestTimeouts(t *testing.T) {
	p := open(t, 8)
	ours, peer := pair(t)
	add(t, p, ours, 1, poll.Read)
	expectQuiet(t, p)
	// For ever, until something happens: a wait that only looks would return
	// many more times than signals come.
	time.AfterFunc(50*time.Millisecond, func() { _, _ = unix.Write(peer.fd, []byte("a")) })
	for range 20 {
		if len(wait(t, p, -1)) > 0 {
			return
		}
	}
	t.Error("waits without a limit ended again and again")
}

// TestAppends: Wait keeps what is in dst.
func TestAppends(t *testing.T) {
	p := open(t, 8)
	ours, _ := pair(t)
	add(t, p, ours, 2, poll.Write)
	events, err := p.Wait([]poll.Event{{Token: 1}}, patience)
	if want := []poll.Event{{Token: 1}, {Token: 2, Writable: true}}; err != nil || !slices.Equal(events, want) {
		t.Errorf("got %+v, %v; want %+v", events, err, want)
	}
}

// TestBatches: with more ready than a batch holds, all have their turn.
func TestBatches(t *testing.T) {
	const batch, ready = 4, 30
	p := open(t, batch)
	for token := range uint64(ready) {
		ours, peer := pair(t)
		add(t, p, ours, token, poll.Read)
		write(t, peer, "a") // never read: it stays ready
	}
	seen := map[uint64]int{}
	for range 10 * ready / batch {
		events := await(t, p)
		if len(events) > batch {
			t.Fatalf("%d events, over %d", len(events), batch)
		}
		for _, e := range events {
			seen[e.Token]++
		}
	}
	if len(seen) != ready {
		t.Errorf("%d of %d had a turn: %v", len(seen), ready, seen)
	}
}

// TestErrors: descriptors that can't be watched are told of, by number.
func TestErrors(t *testing.T) {
	p := open(t, 8)
	ours, _ := pair(t)
	add(t, p, ours, 1, poll.Read)
	ours.close()
	if err := p.Add(ours.fd, 1, poll.Read); err == nil {
		t.Error("a closed descriptor is watched")
	}
	if err := p.AddListener(ours.fd, 1); err == nil {
		t.Error("a closed listener is watched")
	}
}

// TestNoDescriptorLeft: a poller gives back what it opened.
func TestNoDescriptorLeft(t *testing.T) {
	lowest := func() (fds [8]int) { // that are free
		for i := range fds {
			fd, err := unix.Dup(int(os.Stderr.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			fds[i] = fd
		}
		return fds
	}
	before := lowest()
	for range 20 {
		p, err := poll.New(1)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := lowest(); after != before {
		t.Errorf("the lowest free descriptors were %v and are %v", before, after)
	}
}
