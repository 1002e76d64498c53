package gateway_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"warren/gateway/frame"

	"github.com/gobwas/ws"
)

// listener is a client that only reads, at little cost and from any goroutine.
type listener struct {
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

// listen connects one. window bounds the kernel's receive buffer in bytes: what
// it doesn't read then shows soon. (With the default of many megabytes some
// kernels swallow a flood whole and others don't, however their owners read.)
func listen(t testing.TB, n *node, path string, window int) *listener {
	t.Helper()
	l, _ := resume(t, n, path, window)
	return l
}

// resume is listen, and tells whether the node says that messages are missing.
func resume(t testing.TB, n *node, path string, window int) (l *listener, gap bool) {
	t.Helper()
	l = approach(t, n, path, window)
	return l, l.expectOpen(t)
}

// expectOpen reads the answer to a handshake.
func (l *listener) expectOpen(t testing.TB) (gap bool) {
	t.Helper()
	r, err := http.ReadResponse(l.in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v, %v", r, err)
	}
	said := r.Header.Values("Warren-Gap")
	if len(said) > 1 || len(said) == 1 && said[0] != "true" {
		t.Fatalf("Warren-Gap: %q", said)
	}
	return len(said) == 1
}

// approach connects and asks, and doesn't wait for the answer.
func approach(t testing.TB, n *node, path string, window int) *listener {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, window)
		}); e != nil {
			return e
		}
		return err
	}}
	conn, err := d.DialContext(within(t), "tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		t.Fatal(err)
	}
	l := &listener{conn: conn, in: bufio.NewReaderSize(conn, window)}
	if _, err := io.WriteString(conn, upgradeHead(path)); err != nil {
		t.Fatal(err)
	}
	return l
}

// closedError is the server's close frame.
type closedError struct {
	code   ws.StatusCode
	reason string
}

func (e closedError) Error() string { return fmt.Sprintf("closed with %d %q", e.code, e.reason) }

// next is the next message, valid until the next call. Pings and pongs are
// passed over.
func (l *listener) next() ([]byte, error) {
	for {
		head, err := l.in.Peek(2)
		if err != nil {
			return nil, err
		}
		size := 2
		switch head[1] {
		case 126:
			size = 4
		case 127:
			size = 10
		}
		if head, err = l.in.Peek(size); err != nil {
			return nil, err
		}
		h, _, err := frame.Decode(head)
		if err != nil || !h.Fin || h.Masked || h.Rsv != 0 {
			return nil, fmt.Errorf("bad header % x: %w", head, err)
		}
		_, _ = l.in.Discard(size)
		if int64(cap(l.buf)) < h.Length {
			l.buf = make([]byte, h.Length)
		}
		body := l.buf[:h.Length]
		if _, err := io.ReadFull(l.in, body); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpClose:
			if len(body) < 2 {
				return nil, closedError{}
			}
			return nil, closedError{ws.StatusCode(binary.BigEndian.Uint16(body)), string(body[2:])}
		case ws.OpText, ws.OpBinary:
			return body, nil
		}
	}
}
