//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"warren/gateway/jsonv1"
)

const (
	inFlight     = 64 // handshakes at a time, far below any listen backlog
	headLimit    = 4 << 10
	stepDeadline = 30 * time.Second // without progress, whatever is waited for
)

// The sample of RFC 6455, 1.3: a fixed key has a fixed answer.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

var headEnd = []byte("\r\n\r\n")

// dialer opens WebSocket connections to one loopback address. It is not safe
// for concurrent use.
type dialer struct {
	to      netip.AddrPort
	request []byte
	json    bool // the answer must agree to the JSON protocol
	opened  int
}

// offer asks for the JSON protocol, and agrees to it.
const offer = "Sec-WebSocket-Protocol: " + jsonv1.Subprotocol + "\r\n"

func newDialer(t target) *dialer {
	var more string
	if t.json {
		more = offer
	}
	return &dialer{to: t.addr, json: t.json, request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n", t.path, t.addr, sampleKey, more)}
}

// connect returns a connected, non-blocking socket that has sent its request.
func (d *dialer) connect() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket %d: %w", d.opened+1, err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	// An address has some 28,000 ports, also for what lies in TIME_WAIT: so
	// several addresses take turns, and connect picks the port.
	from := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + d.opened%16)}}
	to := unix.SockaddrInet4{Addr: d.to.Addr().As4(), Port: int(d.to.Port())}
	timeout := unix.NsecToTimeval(int64(stepDeadline)) // bounds connect as well
	steps := []struct {
		what string
		do   func() error
	}{
		{"set TCP_NODELAY", func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }},
		{"set IP_BIND_ADDRESS_NO_PORT", func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) }},
		{"set SO_SNDTIMEO", func() error { return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout) }},
		{"bind", func() error { return unix.Bind(fd, &from) }},
		{"connect", func() error { return connect(fd, &to) }},
		{"send the request", func() error { return writeAll(fd, d.request) }},
		{"make non-blocking", func() error { return unix.SetNonblock(fd, true) }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return -1, fmt.Errorf("client %d to %s: %s: %w", d.opened+1, d.to, s.what, err)
		}
	}
	d.opened++
	return fd, nil
}

// connect is for blocking sockets. A signal (the Go runtime's own, say) may
// interrupt it; then the kernel goes on connecting.
func connect(fd int, to unix.Sockaddr) error {
	err := unix.Connect(fd, to)
	if !errors.Is(err, unix.EINTR) {
		return err
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(stepDeadline.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n == 0:
			return unix.ETIMEDOUT
		}
		break
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || code == 0 {
		return err
	}
	return unix.Errno(code)
}

// writeAll is for blocking sockets and pipes.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// dial opens n connections and hands each on, with the bytes behind the 101.
// The descriptor is then taken's to close, also if it returns an error.
func (d *dialer) dial(ctx context.Context, n int, taken func(fd int, rest []byte) error) error {
	return d.run(ctx, n, taken)
}

// dialAndClose opens and closes n connections: 101, then the client's FIN, then
// the server's. When it returns the server has done all its work for them.
func (d *dialer) dialAndClose(ctx context.Context, n int) error { return d.run(ctx, n, nil) }

// underWay is what run has under way.
type underWay struct {
	ep    int
	buf   []byte
	taken func(fd int, rest []byte) error // nil: close behind the 101
	json  bool                            // 101 is not enough
	open  map[int]*handshake              // by descriptor
}

// handshake is a connection whose 101 or whose end is awaited.
type handshake struct {
	head     []byte
	upgraded bool
}

// run keeps inFlight connections under way until n are done.
func (d *dialer) run(ctx context.Context, n int, taken func(fd int, rest []byte) error) error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create poller: %w", err)
	}
	defer unix.Close(ep)
	u := underWay{ep: ep, buf: make([]byte, 64<<10), taken: taken, json: d.json, open: map[int]*handshake{}}
	defer func() {
		for fd := range u.open {
			_ = unix.Close(fd)
		}
	}()
	events := make([]unix.EpollEvent, inFlight)
	progress := time.Now()
	for started := 0; started < n || len(u.open) > 0; {
		for ; started < n && len(u.open) < inFlight; started++ {
			fd, err := d.connect()
			if err != nil {
				return err
			}
			u.open[fd] = &handshake{}
			if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
				return fmt.Errorf("watch a client: %w", err)
			}
		}
		ready, err := epollWait(ep, events, time.Second)
		if err != nil {
			return err
		}
		if ready > 0 {
			progress = time.Now()
		}
		for _, e := range events[:ready] {
			if err := u.readable(int(e.Fd)); err != nil {
				return fmt.Errorf("handshake with %s: %w", d.to, err)
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Since(progress) > stepDeadline {
			return fmt.Errorf("handshake with %s: no answer for %v; %d of %d done", d.to, stepDeadline, started-len(u.open), n)
		}
	}
	return nil
}

func (u *underWay) readable(fd int) error {
	h := u.open[fd]
	n, err := unix.Read(fd, u.buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0 && h.upgraded:
		delete(u.open, fd)
		return unix.Close(fd)
	case n == 0:
		return fmt.Errorf("closed after %q", h.head)
	case h.upgraded:
		return nil // a close frame, perhaps
	}
	h.head = append(h.head, u.buf[:n]...)
	head, rest, whole := bytes.Cut(h.head, headEnd)
	if !whole && len(h.head) < headLimit {
		return nil
	}
	if !whole || !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) || !bytes.Contains(head, []byte(sampleAccept)) {
		return fmt.Errorf("answer %.200q: no upgrade", h.head)
	}
	if u.json && !bytes.Contains(head, []byte(strings.TrimSpace(offer))) {
		return fmt.Errorf("answer %.300q: not to the subprotocol %s", h.head, jsonv1.Subprotocol)
	}
	h.upgraded = true
	if u.taken == nil {
		return unix.Shutdown(fd, unix.SHUT_WR)
	}
	// It goes on in another poller.
	if err := unix.EpollCtl(u.ep, unix.EPOLL_CTL_DEL, fd, nil); err != nil {
		return fmt.Errorf("release a client: %w", err)
	}
	delete(u.open, fd)
	return u.taken(fd, rest)
}

// epollWait waits in whole milliseconds, rounded up. Zero only looks.
func epollWait(ep int, events []unix.EpollEvent, limit time.Duration) (int, error) {
	ms := int((max(limit, 0) + time.Millisecond - 1) / time.Millisecond)
	n, err := unix.EpollWait(ep, events, ms)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("poll: %w", err)
	}
	return n, nil
}
