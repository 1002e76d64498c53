package gateway

import "golang.org/x/sys/unix"

// acceptConn accepts one connection, non-blocking and closed on exec. Options
// of the listening socket are inherited (tcp(7)).
func acceptConn(lfd int) (int, error) {
	fd, _, err := unix.Accept4(lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return fd, err
}

// unsentBytes bounds what the kernel buffers beyond what it has sent. Without
// it a frozen peer hides megabytes before its lag shows.
func setUnsent(fd, bytes int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
}
