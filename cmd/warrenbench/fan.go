//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// fan is all clients of a run, read by one loop: no goroutine and no buffer a
// client, so that the load leaves the machine to the server.
type fan struct {
	// Static after newFan.
	raw    shape
	json   shape // of those who speak the JSON protocol
	epoch  time.Time
	ep     int
	events []unix.EpollEvent
	buf    []byte // what a read gets, shared by all clients

	clients []client
	frames  int64 // data frames read, of all clients

	goal   int64 // frames each client should have
	behind int   // clients that have fewer

	// An end is an error at once, unless mayEnd: then it is only counted.
	mayEnd  bool
	closing bool // what comes is thrown away
	ended   int
	why     error // how the first of them ended

	// onEnd, if set, is told of each that ended, and may object.
	onEnd func(i int, why error) error

	// While sent is not nil: when each message from number untimed on left,
	// since epoch, and how long each delivery took, in nanoseconds.
	sent    []time.Duration
	untimed int64
	latency []int64

	// fill adds output of eager client i to b. If it adds nothing, the
	// client is eager no longer.
	fill func(i int, b []byte) []byte
}

// client is one connection of a fan.
type client struct {
	reader
	shape   *shape // the fan's, of what it is sent
	fd      int    // -1 once it has ended
	out     []byte // what the socket has not taken yet
	eager   bool   // has always more to send
	waiting bool   // is told when the socket takes more
}

// errEnded is a connection that closed without a close frame.
var errEnded = errors.New("closed without a close frame")

// newFan makes a fan with no clients. The caller closes it.
func newFan(payloadSize int, o order) (*fan, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create poller: %w", err)
	}
	raw := newShape(payloadSize, o)
	return &fan{
		raw:    raw,
		json:   raw.inJSON(),
		epoch:  time.Now(),
		ep:     ep,
		events: make([]unix.EpollEvent, 1024),
		buf:    make([]byte, 256<<10),
	}, nil
}

// join connects n clients to t. The first of them is to publish: a raw one, no
// matter what the others are.
func (f *fan) join(ctx context.Context, t target, n int) error {
	if err := f.grow(ctx, newDialer(t.speaking(false)), 1); err != nil {
		return err
	}
	return f.grow(ctx, newDialer(t), n-1)
}

// grow connects n more clients.
func (f *fan) grow(ctx context.Context, d *dialer, n int) error {
	s := &f.raw
	if d.json {
		s = &f.json
	}
	return d.dial(ctx, n, func(fd int, rest []byte) error {
		i := len(f.clients)
		// The event names the client, not the descriptor.
		if err := unix.EpollCtl(f.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			_ = unix.Close(fd)
			return fmt.Errorf("watch client %d: %w", i, err)
		}
		f.clients = append(f.clients, client{shape: s, fd: fd})
		return f.took(i, rest)
	})
}

// close ends all clients: FIN, then the server's FIN awaited, so that the server
// has nothing of them left to do when the next run begins.
func (f *fan) close(ctx context.Context) error {
	f.mayEnd, f.closing = true, true
	var err error
	for i := range f.clients {
		if c := &f.clients[i]; c.fd >= 0 {
			if e := unix.Shutdown(c.fd, unix.SHUT_WR); e != nil && !errors.Is(e, unix.ENOTCONN) {
				err = errors.Join(err, fmt.Errorf("shut down client %d: %w", i, e))
			}
		}
	}
	if err == nil {
		err = f.until(ctx, "the server's side to close", func() bool { return f.ended == len(f.clients) })
	}
	for i := range f.clients {
		if c := &f.clients[i]; c.fd >= 0 {
			_ = unix.Close(c.fd)
			c.fd = -1
		}
	}
	return errors.Join(err, unix.Close(f.ep))
}

// until runs the loop until cond holds. It gives up after stepDeadline without
// a frame or an end.
func (f *fan) until(ctx context.Context, what string, cond func() bool) error {
	progress, frames, ended := time.Now(), f.frames, f.ended
	for !cond() {
		if err := f.turn(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if f.frames != frames || f.ended != ended {
			progress, frames, ended = time.Now(), f.frames, f.ended
		} else if time.Since(progress) > stepDeadline {
			return fmt.Errorf("waited for %s: nothing came for %v; %d of %d clients behind, %d ended", what, stepDeadline, f.behind, len(f.clients), f.ended)
		}
	}
	return nil
}

// serve runs the loop for d.
func (f *fan) serve(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if err := f.turn(ctx, min(left, 100*time.Millisecond)); err != nil {
			return err
		}
	}
}

// server is serve for those who call it again and again while they wait.
func (f *fan) server(ctx context.Context) func(time.Duration) error {
	return func(d time.Duration) error { return f.serve(ctx, d) }
}

// turn waits for at most limit and deals with what has happened.
func (f *fan) turn(ctx context.Context, limit time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ready, err := epollWait(f.ep, f.events, limit)
	if err != nil {
		return err
	}
	for _, e := range f.events[:ready] {
		i := int(e.Fd)
		if e.Events&unix.EPOLLOUT != 0 {
			if err := f.flush(i); err != nil {
				return err
			}
		}
		if e.Events&^unix.EPOLLOUT != 0 {
			if err := f.readable(i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fan) readable(i int) error {
	c := &f.clients[i]
	if c.fd < 0 {
		return nil
	}
	n, err := unix.Read(c.fd, f.buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return f.end(i, fmt.Errorf("read: %w", err))
	case n == 0:
		return f.end(i, errEnded)
	case f.closing:
		return nil
	}
	return f.took(i, f.buf[:n])
}

// took counts what client i has read.
func (f *fan) took(i int, b []byte) error {
	c := &f.clients[i]
	before := c.frames
	ping, err := c.take(b, c.shape)
	f.frames += c.frames - before
	if before < f.goal && c.frames >= f.goal {
		f.behind--
	}
	if f.sent != nil {
		now := time.Since(f.epoch)
		for k := max(before-f.untimed, 0); k < min(c.frames-f.untimed, int64(len(f.sent))); k++ {
			f.latency = append(f.latency, int64(now-f.sent[k]))
		}
	}
	if err != nil {
		var closed errClosed
		if !errors.As(err, &closed) {
			return fmt.Errorf("client %d: %w", i, err) // a broken stream is never in order
		}
		return f.end(i, err)
	}
	if ping != nil {
		return f.send(i, appendClientFrame(nil, ws.OpPong, ping, c.frames))
	}
	return nil
}

// expect sets how many frames each client should have in all.
func (f *fan) expect(goal int64) {
	f.goal, f.behind = goal, 0
	for i := range f.clients {
		if f.clients[i].frames < goal {
			f.behind++
		}
	}
}

// send queues b behind what client i still has to send, and sends.
func (f *fan) send(i int, b []byte) error {
	c := &f.clients[i]
	c.out = append(c.out, b...)
	if c.waiting {
		return nil
	}
	return f.flush(i)
}

// flush sends what client i has, and asks to be told when there is room for
// the rest.
func (f *fan) flush(i int) error {
	c := &f.clients[i]
	if c.fd < 0 || f.closing {
		return nil
	}
	if c.eager && len(c.out) == 0 {
		c.out = f.fill(i, c.out)
		c.eager = len(c.out) > 0
	}
	n, err := unix.Write(c.fd, c.out)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
	case err != nil:
		return f.end(i, fmt.Errorf("write: %w", err))
	default:
		c.out = append(c.out[:0], c.out[n:]...)
	}
	return f.watch(i, c.eager || len(c.out) > 0)
}

// watch asks to be told of room for client i's output, or no longer.
func (f *fan) watch(i int, waiting bool) error {
	c := &f.clients[i]
	if c.waiting == waiting {
		return nil
	}
	c.waiting = waiting
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if waiting {
		e.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(f.ep, unix.EPOLL_CTL_MOD, c.fd, &e); err != nil {
		return fmt.Errorf("watch client %d: %w", i, err)
	}
	return nil
}

// end notes that client i is no more.
func (f *fan) end(i int, why error) error {
	c := &f.clients[i]
	if errors.As(why, new(errClosed)) {
		// The answer that is due (RFC 6455, 5.5.1), if there is room for it.
		_, _ = unix.Write(c.fd, appendClientFrame(nil, ws.OpClose, nil, c.frames))
	}
	err := unix.Close(c.fd)
	c.fd = -1
	f.ended++
	if f.why == nil {
		f.why = fmt.Errorf("client %d after %d messages: %w", i, c.frames, why)
	}
	if !f.mayEnd {
		return f.why
	}
	if f.onEnd != nil && !f.closing {
		if err := f.onEnd(i, why); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("close client %d: %w", i, err)
	}
	return nil
}

// have says whether all clients from number from to number to, without it,
// have the goal.
func (f *fan) have(from, to int, goal int64) bool {
	for i := range f.clients[from:to] {
		if f.clients[from+i].frames < goal {
			return false
		}
	}
	return true
}

// all checks that every client has every message and no more.
func (f *fan) all(messages int64) error {
	if f.ended > 0 {
		return fmt.Errorf("%d of %d clients were cut off; %w", f.ended, len(f.clients), f.why)
	}
	for i := range f.clients {
		if got := f.clients[i].reader.frames; got != messages {
			return fmt.Errorf("client %d has %d of %d messages", i, got, messages)
		}
	}
	return nil
}
