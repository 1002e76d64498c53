//go:build linux

package poll_test

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"warren/gateway/poll"
)

// TestHangupWithoutInterest: a client that is held back is watched for nothing,
// and yet its reset is told.
func TestHangupWithoutInterest(t *testing.T) {
	p := open(t, 8)
	ours, peer := tcpPair(t)
	add(t, p, ours, 1, 0)
	expectNone(t, p)
	if err := peer.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, p, poll.Event{Token: 1, Hangup: true})
}

// TestListener: several pollers on one socket; the kernel wakes at least one,
// and not all of them.
func TestListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lfd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	listener := own(t, lfd)
	pollers := []*poll.Poller{open(t, 8), open(t, 8), open(t, 8)}
	for i, p := range pollers {
		if err := p.AddListener(listener.fd, uint64(i)); err != nil {
			t.Fatal(err)
		}
		expectNone(t, p)
		// epoll_ctl(2): what was added as exclusive can't be modified.
		if err := p.Modify(listener.fd, uint64(i), poll.Read); !errors.Is(err, unix.EINVAL) {
			t.Errorf("Modify of a listener: %v, want EINVAL: is it exclusive?", err)
		}
	}
	// Whoever of the pollers waits, waits for nobody else.
	for i, p := range pollers {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		expect(t, p, poll.Event{Token: uint64(i), Readable: true})
		accepted, _, err := unix.Accept(listener.fd)
		if err != nil {
			t.Fatal(err)
		}
		own(t, accepted)
		expectNone(t, p)
	}
	// A poller that rests hears nothing; when it comes back, of what waits.
	if err := pollers[0].Remove(listener.fd); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	expect(t, pollers[1], poll.Event{Token: 1, Readable: true})
	expectNone(t, pollers[0])
	if err := pollers[0].AddListener(listener.fd, 9); err != nil {
		t.Fatal(err)
	}
	expect(t, pollers[0], poll.Event{Token: 9, Readable: true})
}
