package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// Names of sockets that the service manager may pass: FileDescriptorName= of
// systemd.socket(5).
const (
	gatewaySocket = "warren"
	adminSocket   = "admin"
	agentSocket   = "agent"
)

// sockets are listening sockets that the service manager opened for this
// process, by what they are for. It goes on holding them, so that their ports
// stay open over a restart, and connections wait there: they may be closed
// here, but never shut down.
type sockets map[string]net.Listener

// takeSockets takes the sockets passed to this process (sd_listen_fds(3)), if
// any, and the variables that tell of them.
func takeSockets() (sockets, error) {
	files := activation.Files(true)
	taken := sockets{}
	var err error
	for _, f := range files {
		if err == nil {
			err = taken.add(f)
		}
		_ = f.Close() // a listener has a duplicate
	}
	if err != nil {
		taken.close()
		return nil, fmt.Errorf("sockets from the service manager: %w", err)
	}
	return taken, nil
}

// add takes the socket f by its name.
func (s sockets) add(f *os.File) error {
	name := purpose(f.Name())
	switch name {
	case gatewaySocket, adminSocket, agentSocket:
	default:
		return fmt.Errorf("%q: unknown name; FileDescriptorName= must be %s, %s or %s", name, gatewaySocket, adminSocket, agentSocket)
	}
	if _, twice := s[name]; twice {
		return fmt.Errorf("%q: more than one has this name, or none; there may be one for each FileDescriptorName= of %s, %s and %s",
			name, gatewaySocket, adminSocket, agentSocket)
	}
	if err := checkSocket(f); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	s[name] = l
	return nil
}

// purpose is what the socket with that name is for. One that was given no name
// has that of its unit, or of the library's making; it is the gateway's.
func purpose(name string) string {
	if name == "unknown" || strings.HasPrefix(name, "LISTEN_FD_") || strings.HasSuffix(name, ".socket") {
		return gatewaySocket
	}
	return name
}

var errNoTCP = errors.New("must be a TCP socket: ListenStream= with a port")

// checkSocket says what is wrong with a socket that can't be served on.
func checkSocket(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var wrong error
	err = raw.Control(func(fd uintptr) {
		kind, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil {
			wrong = fmt.Errorf("descriptor %d is no socket: %w", fd, err)
			return
		}
		address, err := unix.Getsockname(int(fd))
		if err != nil {
			wrong = fmt.Errorf("descriptor %d has no address: %w", fd, err)
			return
		}
		switch address.(type) {
		case *unix.SockaddrInet4, *unix.SockaddrInet6:
		default:
			kind = -1
		}
		if kind != unix.SOCK_STREAM {
			wrong = errNoTCP
			return
		}
		if on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
			wrong = errors.New("does not listen: Accept= must be no")
		}
	})
	return errors.Join(err, wrong)
}

// take is the listener named name, nil if there is none. It is the caller's
// from then on.
func (s sockets) take(name string) net.Listener {
	l := s[name]
	delete(s, name)
	return l
}

func (s sockets) close() {
	for _, l := range s {
		_ = l.Close()
	}
}
