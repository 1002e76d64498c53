//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package gateway

import "golang.org/x/sys/unix"

// acceptConn accepts one connection, non-blocking and closed on exec.
func acceptConn(lfd int) (int, error) {
	fd, _, err := unix.Accept(lfd)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// setUnsent is not to be had everywhere; lag then shows later.
func setUnsent(fd, bytes int) error { return nil }
