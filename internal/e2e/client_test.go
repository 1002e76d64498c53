package e2e_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// client is a WebSocket client by hand, cheap enough for millions of messages
// beside the nodes they come from. Pings are answered while it reads.
type client struct {
	t    *testing.T
	node *node
	conn net.Conn
	in   *bufio.Reader

	tally

	// Set by join.
	done chan struct{}
	err  error // why reading ended, nil after lastWord; set before done is closed
}

// window is what a client's bufio.Reader holds, and more than any message here.
const window = 64 << 10

// open connects a client that nobody reads for. kernel bounds the kernel's
// receive buffer in bytes, 0 doesn't: with it, not reading shows soon.
func open(t *testing.T, n *node, path string, kernel int) *client {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	if kernel > 0 {
		d.Control = func(_, _ string, raw syscall.RawConn) (err error) {
			if e := raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, kernel)
			}); e != nil {
				return e
			}
			return err
		}
	}
	conn, err := d.DialContext(t.Context(), "tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	// The key is that of RFC 6455, 1.3.
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: warren.test\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, node: n, conn: conn, in: bufio.NewReaderSize(conn, window)}
	c.who = fmt.Sprintf("client %s of %s", conn.LocalAddr(), n.name)
	r, err := http.ReadResponse(c.in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("opening %s on %s: %v, %v", path, n.name, r, err)
	}
	return c
}

// join connects a client that notes what it hears until lastWord, or until the
// connection ends. The end of the test waits for it.
func join(t *testing.T, n *node, path string) *client {
	t.Helper()
	c := open(t, n, path, 0)
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		c.err = c.listen()
	}()
	t.Cleanup(func() {
		_ = c.conn.Close()
		<-c.done
	})
	return c
}

// joinMany connects so many.
func joinMany(t *testing.T, n *node, path string, count int) (all []*client) {
	t.Helper()
	for range count {
		all = append(all, join(t, n, path))
	}
	return all
}

func (c *client) listen() error {
	for {
		text, err := c.next()
		switch {
		case err != nil:
			return err
		case string(text) == lastWord:
			return nil
		}
		if err := c.note(text); err != nil {
			return err
		}
	}
}

// closedError is the server's close frame.
type closedError struct {
	code   ws.StatusCode
	reason string
}

func (e closedError) Error() string { return fmt.Sprintf("closed with %d %q", e.code, e.reason) }

// next is the next message, valid until the next call.
func (c *client) next() ([]byte, error) {
	for {
		op, body, err := c.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case ws.OpText:
			return body, nil
		case ws.OpPing:
			if _, err := c.conn.Write(masked(ws.OpPong, body)); err != nil {
				return nil, err
			}
		case ws.OpClose:
			if len(body) < 2 {
				return nil, closedError{}
			}
			return nil, closedError{ws.StatusCode(binary.BigEndian.Uint16(body)), string(body[2:])}
		default:
			return nil, fmt.Errorf("frame of opcode %d", op)
		}
	}
}

// frame reads one frame in place. All must be whole messages, unmasked.
func (c *client) frame() (op ws.OpCode, body []byte, err error) {
	head, err := c.in.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	first, size, length := head[0], 2, int(head[1])
	if length == 126 {
		size = 4
		if head, err = c.in.Peek(size); err != nil {
			return 0, nil, err
		}
		length = int(binary.BigEndian.Uint16(head[2:]))
	}
	if first&0xf0 != 0x80 || head[1] > 126 || size+length > window {
		return 0, nil, fmt.Errorf("frame header % x", head)
	}
	whole, err := c.in.Peek(size + length)
	if err != nil {
		return 0, nil, err
	}
	_, _ = c.in.Discard(len(whole)) // its bytes stay until the next read
	return ws.OpCode(first & 0x0f), whole[size:], nil
}

// masked is a client's frame.
func masked(op ws.OpCode, payload []byte) []byte {
	f := ws.NewFrame(op, true, append([]byte(nil), payload...))
	return ws.MustCompileFrame(ws.MaskFrameInPlaceWith(f, [4]byte{0x37, 0xfa, 0x21, 0x3d}))
}

// send writes one text message.
func (c *client) send(text string) error {
	_, err := c.conn.Write(masked(ws.OpText, []byte(text)))
	return err
}

// left waits for the server's close frame, answers it, and wants an orderly
// end: a FIN from the server, which has read all, then one from the client.
func (c *client) left(code ws.StatusCode) {
	c.t.Helper()
	<-c.done
	closed := closedError{}
	if !errors.As(c.err, &closed) || closed.code != code || closed.reason == "" {
		c.t.Errorf("instead of a close frame with %d: %v", code, c.err)
		return
	}
	if _, err := c.conn.Write(masked(ws.OpClose, ws.NewCloseFrameBody(code, ""))); err != nil {
		c.t.Errorf("answering the close frame: %v", err)
	}
	if b, err := c.in.ReadByte(); err != io.EOF {
		c.t.Errorf("after the close frame: byte %#x, %v", b, err)
	}
	_ = c.conn.Close()
}
