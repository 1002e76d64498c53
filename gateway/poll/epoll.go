//go:build linux

package poll

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Poller is one epoll instance. Only Wake may be called by others than its
// owner.
type Poller struct {
	epfd, wakefd int
	raw          []unix.EpollEvent
	woken        [8]byte
}

// New opens a poller that returns at most batch events a call.
func New(batch int) (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &Poller{epfd: epfd, wakefd: wakefd, raw: make([]unix.EpollEvent, batch)}
	if err := p.Add(wakefd, wakeToken, Read); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Add begins to watch fd, until Remove or Forget.
func (p *Poller) Add(fd int, token uint64, in Interest) error {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, token, events(in))
}

// AddListener watches a listening socket that other pollers watch too, without
// waking all of them for one connection.
func (p *Poller) AddListener(fd int, token uint64) error {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, token, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

// Modify changes what fd is watched for.
func (p *Poller) Modify(fd int, token uint64, in Interest) error {
	return p.ctl(unix.EPOLL_CTL_MOD, fd, token, events(in))
}

// Remove stops to watch fd.
func (p *Poller) Remove(fd int) error {
	return p.ctl(unix.EPOLL_CTL_DEL, fd, 0, 0)
}

// Forget says that fd is about to be closed, which ends watching it.
func (p *Poller) Forget(fd int) {}

// Never EPOLLRDHUP: a half-closed peer would spin a level-triggered poller
// while its reads are off.
func events(in Interest) (e uint32) {
	if in&Read != 0 {
		e |= unix.EPOLLIN
	}
	if in&Write != 0 {
		e |= unix.EPOLLOUT
	}
	return e
}

func (p *Poller) ctl(op, fd int, token uint64, ev uint32) error {
	// The token fills the 64 bits of user data.
	e := unix.EpollEvent{Events: ev, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
	if err := unix.EpollCtl(p.epfd, op, fd, &e); err != nil {
		return fmt.Errorf("epoll_ctl(%d) of descriptor %d: %w", op, fd, err)
	}
	return nil
}

// Wait appends what is ready to dst, which it returns. It waits at most so
// many milliseconds; 0 only looks, -1 waits until something happens or Wake is
// called.
func (p *Poller) Wait(dst []Event, ms int) ([]Event, error) {
	n, err := unix.EpollWait(p.epfd, p.raw, ms)
	if err == unix.EINTR {
		return dst, nil
	}
	if err != nil {
		return dst, fmt.Errorf("epoll_wait: %w", err)
	}
	for _, e := range p.raw[:n] {
		token := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
		if token == wakeToken {
			_, _ = unix.Read(p.wakefd, p.woken[:])
			continue
		}
		dst = append(dst, Event{
			Token:    token,
			Readable: e.Events&unix.EPOLLIN != 0,
			Writable: e.Events&unix.EPOLLOUT != 0,
			Hangup:   e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0,
		})
	}
	return dst, nil
}

// Wake makes the current or next Wait return. Any goroutine; not after Close.
func (p *Poller) Wake() {
	_, _ = unix.Write(p.wakefd, one[:])
}

// one is what is added to an eventfd: an 8-byte integer, any but zero.
var one = [8]byte{1}

// Close frees the poller's own descriptors.
func (p *Poller) Close() error {
	_ = unix.Close(p.wakefd)
	return unix.Close(p.epfd)
}
