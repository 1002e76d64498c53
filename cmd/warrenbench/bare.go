//go:build linux

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bare is the yardstick, run in a process of its own: one thread that accepts,
// reads a head, answers a fixed 101, and then writes one fixed frame to every
// socket, one write(2) each. Nothing a gateway has to do can be cheaper than
// that. It obeys single bytes on its standard input.
type bare struct {
	ep       int
	listener int
	frame    []byte
	buf      []byte

	sockets []int          // those that have their 101
	place   map[int]int    // descriptor to its index in sockets
	partial map[int][]byte // incomplete heads

	echo *echo // nil but in tests

	flooding bool
	rounds   int64 // of the flood
}

// bareCommand is the hidden subcommand.
const bareCommand = "bare"

// What bare is told, a byte each; the end of the input ends it.
const (
	tellRound = 'r' // write the frame to every socket
	tellFlood = 'f' // do that over and over
	tellHalt  = 'h' // end the flood, print how many rounds it had
)

var bareAnswer = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + sampleAccept + "\r\n\r\n")

// runBare is the subcommand. It prints the address it listens on.
func runBare(args []string, out io.Writer) error {
	flags := flag.NewFlagSet(bareCommand, flag.ContinueOnError)
	size := flags.Int("size", 64, "bytes of payload")
	listen := flags.String("listen", "127.0.0.1:0", "IPv4 address to listen on")
	echoes := flags.Bool("echo", false, "send what a client sends to all clients: a stand-in for a server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	addr, err := netip.ParseAddrPort(*listen)
	if err != nil || !addr.Addr().Is4() {
		return fmt.Errorf("listen on %q: must be an IPv4 address and a port", *listen)
	}
	// As close to a C program as it gets: one thread, no garbage collector.
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	b := &bare{
		frame: serverFrame(*size, 0), buf: make([]byte, 64<<10),
		place: map[int]int{}, partial: map[int][]byte{},
	}
	if *echoes {
		b.echo = &echo{partial: map[int][]byte{}}
	}
	bound, err := b.listen(addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, bound)
	return b.loop(out)
}

func (b *bare) listen(addr netip.AddrPort) (netip.AddrPort, error) {
	var none netip.AddrPort
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return none, fmt.Errorf("open listener: %w", err)
	}
	if b.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return none, fmt.Errorf("create poller: %w", err)
	}
	b.listener = fd
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), // inherited
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}),
		unix.Listen(fd, 4096),
		unix.SetNonblock(0, true),
		b.watch(fd), b.watch(0),
	)
	if err != nil {
		return none, fmt.Errorf("listen on %s: %w", addr, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return none, fmt.Errorf("ask for the port: %w", err)
	}
	return netip.AddrPortFrom(addr.Addr(), uint16(name.(*unix.SockaddrInet4).Port)), nil
}

func (b *bare) watch(fd int) error {
	return unix.EpollCtl(b.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (b *bare) loop(out io.Writer) error {
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(b.ep, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			switch fd := int(e.Fd); fd {
			case 0:
				if end, err := b.obey(out); end || err != nil {
					return err
				}
			case b.listener:
				err = b.accept()
			default:
				err = b.readable(fd)
			}
			if err != nil {
				return err
			}
		}
	}
}

// obey reads commands; while a flood runs, it is the loop.
func (b *bare) obey(out io.Writer) (end bool, err error) {
	var tell [64]byte
	for {
		n, err := unix.Read(0, tell[:])
		switch {
		case errors.Is(err, unix.EAGAIN) && !b.flooding:
			return false, nil
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		case err != nil:
			return true, fmt.Errorf("read command: %w", err)
		case n == 0:
			return true, nil
		}
		for _, t := range tell[:max(n, 0)] {
			switch t {
			case tellRound:
				b.round()
			case tellFlood:
				b.flooding, b.rounds = true, 0
			case tellHalt:
				b.flooding = false
				fmt.Fprintln(out, b.rounds)
			}
		}
		if b.flooding {
			b.round()
			b.rounds++
		}
	}
}

func (b *bare) round() {
	for _, fd := range b.sockets {
		write(fd, b.frame)
	}
}

// write waits for room if need be. A socket that breaks is noticed by the read.
// RawSyscall, because the scheduler has nobody else to run.
func write(fd int, p []byte) {
	for len(p) > 0 {
		n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch e {
		case 0:
			p = p[n:]
		case unix.EAGAIN:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		case unix.EINTR:
		default:
			return
		}
	}
}

func (b *bare) accept() error {
	for range inFlight {
		fd, _, err := unix.Accept4(b.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EMFILE): // until some have closed
			return nil
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		if err := b.watch(fd); err != nil {
			return fmt.Errorf("watch a socket: %w", err)
		}
	}
	return nil
}

func (b *bare) readable(fd int) error {
	n, err := unix.Read(fd, b.buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil || n == 0 {
		return b.drop(fd)
	}
	in := b.buf[:n]
	if _, open := b.place[fd]; open {
		if b.echo != nil {
			b.echo.repeat(fd, in, b.sockets)
		}
		return nil
	}
	if had := b.partial[fd]; had != nil {
		in = append(had, in...)
		delete(b.partial, fd)
	}
	if !bytes.Contains(in, headEnd) {
		if len(in) > headLimit {
			return b.drop(fd)
		}
		b.partial[fd] = bytes.Clone(in)
		return nil
	}
	write(fd, bareAnswer)
	b.place[fd] = len(b.sockets)
	b.sockets = append(b.sockets, fd)
	return nil
}

func (b *bare) drop(fd int) error {
	if i, open := b.place[fd]; open {
		last := b.sockets[len(b.sockets)-1]
		b.sockets[i], b.place[last] = last, i
		b.sockets = b.sockets[:len(b.sockets)-1]
		delete(b.place, fd)
	}
	delete(b.partial, fd)
	if b.echo != nil {
		delete(b.echo.partial, fd)
	}
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("close a socket: %w", err)
	}
	return nil
}
