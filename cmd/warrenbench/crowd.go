//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// crowdCommand is the hidden subcommand: many clients that come all at once. It
// obeys single bytes on its standard input and prints a crowdResult for each.
const crowdCommand = "crowd"

// What a crowd is told; the end of the input ends it.
const (
	tellCome   = 'c' // connect, all at once
	tellVanish = 'v' // reset all connections, and come again
	tellLeave  = 'l' // close all connections, and await the server's side
)

// crowdAtOnce is how many handshakes a crowd has under way: all of them might
// wait to be accepted, and beyond the listen backlog (4,096 is Linux's
// net.core.somaxconn) the kernel drops SYNs, which are sent again a second later.
const crowdAtOnce = 2048

// crowdResult says how it went.
type crowdResult struct {
	Took    time.Duration // from the first connect to the last answer
	Taken   int           // 101
	Refused int           // 503 with a Retry-After
	CPU     time.Duration // of the crowd
}

// crowd spends as little as it can on a client, so that the server is what is
// measured: one thread, six system calls a handshake, no memory.
type crowd struct {
	to      unix.SockaddrInet4
	request []byte
	ep      int
	events  []unix.EpollEvent
	buf     []byte

	clients []int          // descriptors; -1 is none
	partial map[int][]byte // incomplete answers, by client
	unsent  map[int]bool   // connecting: the request waits
	upgrade []bool         // by client
	result  crowdResult
}

func runCrowd(args []string, out io.Writer) error {
	flags := flag.NewFlagSet(crowdCommand, flag.ContinueOnError)
	addr := flags.String("addr", "", "of the server")
	path := flags.String("path", "/", "of the requests")
	clients := flags.Int("clients", 1, "how many")
	if err := flags.Parse(args); err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(*addr)
	if err != nil || !to.Addr().Is4() {
		return fmt.Errorf("-addr %q: must be an IPv4 address and a port", *addr)
	}
	// It gives way to all others: elsewhere those who come have machines of
	// their own.
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	c, err := newCrowd(target{addr: to, path: *path}, *clients)
	if err != nil {
		return err
	}
	tell := make([]byte, 1)
	for {
		if _, err := io.ReadFull(os.Stdin, tell); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read command: %w", err)
		}
		if err := c.obey(tell[0]); err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(c.result); err != nil {
			return fmt.Errorf("print a result: %w", err)
		}
	}
}

func newCrowd(t target, n int) (*crowd, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create poller: %w", err)
	}
	c := &crowd{
		to:      unix.SockaddrInet4{Addr: t.addr.Addr().As4(), Port: int(t.addr.Port())},
		request: newDialer(t).request,
		ep:      ep,
		events:  make([]unix.EpollEvent, 1024),
		buf:     make([]byte, 64<<10),
		clients: make([]int, n),
		partial: map[int][]byte{},
		unsent:  map[int]bool{},
		upgrade: make([]bool, n),
	}
	for i := range c.clients {
		c.clients[i] = -1
	}
	return c, nil
}

func (c *crowd) obey(tell byte) error {
	c.result = crowdResult{}
	before := selfTime()
	var err error
	switch tell {
	case tellVanish:
		if err = c.vanish(); err == nil {
			err = c.come()
		}
	case tellCome:
		err = c.come()
	case tellLeave:
		err = c.leave()
	default:
		err = fmt.Errorf("told %q: not a command", tell)
	}
	c.result.CPU = selfTime() - before
	return err
}

// selfTime is this process's CPU time, user and system.
func selfTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// come connects everyone, crowdAtOnce at a time.
func (c *crowd) come() error {
	const burst = 64 // new ones between two looks at what was answered
	began, progress := time.Now(), time.Now()
	answered := func() int { return c.result.Taken + c.result.Refused }
	for begun := 0; answered() < len(c.clients); {
		most := min(burst, len(c.clients)-begun, crowdAtOnce-(begun-answered()))
		for range most {
			if err := c.begin(begun); err != nil {
				return fmt.Errorf("client %d: %w", begun, err)
			}
			begun++
		}
		limit := time.Second
		if most == burst {
			limit = 0
		}
		ready, err := epollWait(c.ep, c.events, limit)
		if err != nil {
			return err
		}
		if ready > 0 {
			progress = time.Now()
		} else if time.Since(progress) > stepDeadline {
			return fmt.Errorf("no answer for %v; %d of %d have theirs", stepDeadline, answered(), len(c.clients))
		}
		for _, e := range c.events[:ready] {
			if err := c.ready(int(e.Fd), e.Events); err != nil {
				return fmt.Errorf("client %d: %w", e.Fd, err)
			}
		}
	}
	c.result.Took = time.Since(began)
	return nil
}

// begin sends the request of client i, if it can at once. (On a loopback device
// a connection stands by then, even if connect says that it is in progress.)
func (c *crowd) begin(i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	c.clients[i] = fd
	from := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + i%16)}} // as dialer.connect does
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return fmt.Errorf("set IP_BIND_ADDRESS_NO_PORT: %w", err)
	}
	if err := unix.Bind(fd, &from); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Connect(fd, &c.to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	switch _, err := unix.Write(fd, c.request); {
	case errors.Is(err, unix.EAGAIN):
		c.unsent[i] = true
		e.Events |= unix.EPOLLOUT
	case err != nil:
		return fmt.Errorf("send the request: %w", err)
	}
	if err := unix.EpollCtl(c.ep, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	return nil
}

func (c *crowd) ready(i int, events uint32) error {
	fd := c.clients[i]
	if events&unix.EPOLLOUT != 0 && c.unsent[i] {
		delete(c.unsent, i)
		if _, err := unix.Write(fd, c.request); err != nil {
			return fmt.Errorf("send the request: %w", err)
		}
		if err := unix.EpollCtl(c.ep, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
	}
	n, err := unix.Read(fd, c.buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return fmt.Errorf("closed after %q", c.partial[i])
	case c.upgrade[i]:
		return nil // a ping
	}
	answer := c.buf[:n]
	if had := c.partial[i]; had != nil {
		answer = append(had, answer...)
	}
	if !bytes.Contains(answer, headEnd) {
		if len(answer) > headLimit {
			return fmt.Errorf("answer %.200q: no upgrade", answer)
		}
		c.partial[i] = bytes.Clone(answer)
		return nil
	}
	delete(c.partial, i)
	return c.answered(i, answer)
}

func (c *crowd) answered(i int, answer []byte) error {
	switch {
	case bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) && bytes.Contains(answer, []byte(sampleAccept)):
		c.upgrade[i] = true
		c.result.Taken++
		return nil
	case bytes.HasPrefix(answer, []byte("HTTP/1.1 503 ")) && bytes.Contains(answer, []byte("\r\nRetry-After: ")):
		c.result.Refused++
		return c.end(i)
	}
	return fmt.Errorf("answer %.200q: no upgrade", answer)
}

func (c *crowd) end(i int) error {
	fd := c.clients[i]
	c.clients[i], c.upgrade[i] = -1, false
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// vanish resets everyone's connection.
func (c *crowd) vanish() error {
	for i, fd := range c.clients {
		if fd < 0 {
			continue
		}
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return fmt.Errorf("client %d: set SO_LINGER: %w", i, err)
		}
		if err := c.end(i); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
	}
	return nil
}

// leave returns when the server has closed its side of all connections.
func (c *crowd) leave() error {
	for i, fd := range c.clients {
		if fd < 0 {
			continue
		}
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			return fmt.Errorf("client %d: shut down: %w", i, err)
		}
	}
	for i, fd := range c.clients {
		for fd >= 0 && c.clients[i] >= 0 {
			n, err := unix.Read(fd, c.buf)
			switch {
			case errors.Is(err, unix.EAGAIN):
				if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(stepDeadline.Milliseconds())); n == 0 && err == nil {
					return fmt.Errorf("client %d: the server has not closed its side for %v", i, stepDeadline)
				}
			case errors.Is(err, unix.EINTR):
			case err != nil || n == 0:
				if err := c.end(i); err != nil {
					return fmt.Errorf("client %d: %w", i, err)
				}
			}
		}
	}
	return nil
}
