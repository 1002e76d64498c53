//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package poll

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Poller is one kqueue. Only Wake may be called by others than its owner.
type Poller struct {
	kq           int
	wakeR, wakeW int
	raw          []unix.Kevent_t
	watched      map[int]watch // by descriptor: kevents can't carry a token safely
}

type watch struct {
	token uint64
	in    Interest
}

// New opens a poller that returns at most batch events a call.
func New(batch int) (*Poller, error) {
	kq, err := unix.Kqueue()
	if err != nil {
		return nil, fmt.Errorf("kqueue: %w", err)
	}
	unix.CloseOnExec(kq)
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		_ = unix.Close(kq)
		return nil, fmt.Errorf("pipe: %w", err)
	}
	for _, fd := range pipe {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	p := &Poller{kq, pipe[0], pipe[1], make([]unix.Kevent_t, batch), map[int]watch{}}
	if err := p.Add(p.wakeR, wakeToken, Read); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Add begins to watch fd, until Remove or Forget.
func (p *Poller) Add(fd int, token uint64, in Interest) error {
	p.watched[fd] = watch{token: token}
	err := p.Modify(fd, token, in)
	if err != nil {
		delete(p.watched, fd)
	}
	return err
}

// AddListener watches a listening socket that other pollers watch too.
func (p *Poller) AddListener(fd int, token uint64) error {
	return p.Add(fd, token, Read)
}

// Modify changes what fd is watched for.
func (p *Poller) Modify(fd int, token uint64, in Interest) error {
	was := p.watched[fd].in
	var changes []unix.Kevent_t
	for _, f := range []struct {
		in     Interest
		filter int
	}{{Read, unix.EVFILT_READ}, {Write, unix.EVFILT_WRITE}} {
		if was&f.in == in&f.in {
			continue
		}
		var e unix.Kevent_t
		flags := unix.EV_ADD
		if in&f.in == 0 {
			flags = unix.EV_DELETE
		}
		unix.SetKevent(&e, fd, f.filter, flags)
		changes = append(changes, e)
	}
	if len(changes) > 0 {
		if _, err := unix.Kevent(p.kq, changes, nil, nil); err != nil {
			return fmt.Errorf("kevent of descriptor %d: %w", fd, err)
		}
	}
	p.watched[fd] = watch{token, in}
	return nil
}

// Remove stops to watch fd.
func (p *Poller) Remove(fd int) error {
	err := p.Modify(fd, 0, 0)
	delete(p.watched, fd)
	return err
}

// Forget says that fd is about to be closed, which ends watching it.
func (p *Poller) Forget(fd int) { delete(p.watched, fd) }

// Wait appends what is ready to dst, which it returns. It waits at most so
// many milliseconds; 0 only looks, -1 waits until something happens or Wake is
// called.
func (p *Poller) Wait(dst []Event, ms int) ([]Event, error) {
	var timeout *unix.Timespec
	if ms >= 0 {
		t := unix.NsecToTimespec(int64(ms) * 1e6)
		timeout = &t
	}
	n, err := unix.Kevent(p.kq, nil, p.raw, timeout)
	if err == unix.EINTR {
		return dst, nil
	}
	if err != nil {
		return dst, fmt.Errorf("kevent: %w", err)
	}
	for i := range p.raw[:n] {
		e := &p.raw[i]
		fd := int(e.Ident)
		w, ok := p.watched[fd]
		switch {
		case !ok:
			continue
		case w.token == wakeToken:
			var b [64]byte
			for {
				if n, err := unix.Read(fd, b[:]); n < len(b) || err != nil {
					break
				}
			}
			continue
		}
		eof := e.Flags&unix.EV_EOF != 0
		dst = append(dst, Event{
			Token:    w.token,
			Readable: e.Filter == unix.EVFILT_READ,
			Writable: e.Filter == unix.EVFILT_WRITE,
			// EV_EOF on the read side is a half close, which a read tells.
			Hangup: e.Flags&unix.EV_ERROR != 0 || eof && e.Filter == unix.EVFILT_WRITE,
		})
	}
	return dst, nil
}

// Wake makes the current or next Wait return. Any goroutine; not after Close.
func (p *Poller) Wake() {
	_, _ = unix.Write(p.wakeW, []byte{1})
}

// Close frees the poller's own descriptors.
func (p *Poller) Close() error {
	_ = unix.Close(p.wakeR)
	_ = unix.Close(p.wakeW)
	return unix.Close(p.kq)
}
