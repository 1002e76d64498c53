//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package gateway

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// acceptConn accepts one connection, non-blocking and closed on exec.
func acceptConn(lfd int) (int, netip.AddrPort, error) {
	fd, sa, err := unix.Accept(lfd)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, netip.AddrPort{}, err
	}
	return fd, addrPort(sa), nil
}

// setUserTimeout is not to be had everywhere; the kernel's own patience then
// decides.
func setUserTimeout(fd int, d time.Duration) error { return nil }

// setUnsent is not to be had everywhere; lag then shows later.
func setUnsent(fd, bytes int) error { return nil }
