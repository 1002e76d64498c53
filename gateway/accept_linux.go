package gateway

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// acceptConn accepts one connection, non-blocking and closed on exec. Options
// of the listening socket are inherited (tcp(7)).
func acceptConn(lfd int) (int, netip.AddrPort, error) {
	fd, sa, err := unix.Accept4(lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return fd, addrPort(sa), err
}

// setUserTimeout has the kernel give up a connection whose peer has not
// acknowledged for so long what it was sent (tcp(7)).
func setUserTimeout(fd int, d time.Duration) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
}

// unsentBytes bounds what the kernel buffers beyond what it has sent. Without
// it a frozen peer hides megabytes before its lag shows.
func setUnsent(fd, bytes int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
}
