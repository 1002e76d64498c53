package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// reserveFDs are descriptors that clients may not take: for the exchange,
	// the HTTP server, pollers, logs.
	reserveFDs = 256

	// spareConns are connections beyond the clients, so that refusals can be
	// answered and health checks served by a full node.
	spareConns = 64

	// tableMost is the largest table of descriptors that is made beforehand, 8
	// bytes each: who has more clients seldom waits for the next doubling.
	tableMost = 1 << 16

	// unsentBytes bounds what a socket buffers beyond what it has sent.
	unsentBytes = 64 << 10
)

// Listen binds addr ("host:port"; port 0 takes a free one). Connections wait
// until Serve runs.
func (g *Gateway) Listen(addr string) error {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) { err = setOptions(int(fd)) }); e != nil {
			return e
		}
		return err
	}}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	defer l.Close() // the duplicate listens on
	return g.take(l.(*net.TCPListener))
}

// Adopt listens on a TCP socket that is somebody else's, too, as systemd's is
// for a service that it activates. When the node leaves, connections wait there
// for whoever serves next. It stands for Listen, and takes l over, error or not.
func (g *Gateway) Adopt(l net.Listener) error {
	defer l.Close() // the duplicate listens on
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return fmt.Errorf("serve on the socket %s: it is no TCP socket, but %s", l.Addr(), l.Addr().Network())
	}
	raw, err := tcp.SyscallConn()
	if err == nil {
		if e := raw.Control(func(fd uintptr) { err = setOptions(int(fd)) }); e != nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("serve on the socket %s: %w", l.Addr(), err)
	}
	g.adopted = true
	return g.take(tcp)
}

// take listens on a duplicate of l's descriptor.
func (g *Gateway) take(l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err == nil {
		if e := raw.Control(func(fd uintptr) {
			g.lfd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		}); e != nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", l.Addr(), err)
	}
	g.addr = l.Addr()
	if err = g.sizeUp(); err == nil {
		err = g.openShards()
	}
	if err != nil {
		_ = unix.Close(g.lfd)
		g.lfd = -1
	}
	return err
}

// setOptions prepares the listening socket; connections inherit its options.
func setOptions(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set TCP_NODELAY: %w", err)
	}
	return setUnsent(fd, unsentBytes)
}

// sizeUp bounds connections by the descriptors that the process may have.
func (g *Gateway) sizeUp() error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	files := min(int64(lim.Cur), 1<<31-1)
	if files < 0 {
		files = 1<<31 - 1 // "unlimited", where it is signed
	}
	g.maxConns = files - min(reserveFDs, files/4)
	g.maxClients = g.maxConns - min(spareConns, g.maxConns/4)
	if most := int64(g.o.Clients.Max); most > 0 {
		if most > g.maxClients {
			g.log.Warn("the limit of open files allows fewer clients than clients.max",
				"limit", files, "clients", g.maxClients, "clients.max", most)
		}
		g.maxClients = min(most, g.maxClients)
	}
	growTable(g.lfd, min(files, g.maxClients+spareConns+reserveFDs))
	return nil
}

// growTable makes the process's table of descriptors as large as that many need
// (tableMost at most). The kernel doubles it when it is full, and in a process of
// several threads whoever asked for the descriptor waits for that, 8 to 27 ms: a
// shard and all its clients, in the midst of a storm.
func growTable(fd int, files int64) {
	if last, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, int(min(files, tableMost))-1); err == nil {
		_ = unix.Close(last)
	} // else it grows on the way
}

// addrPort is a TCP address; the zero one for others.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
