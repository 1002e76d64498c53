package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// First bytes of frames (RFC 6455, 5.2).
const (
	rawCont   = 0x0
	rawText   = 0x1
	rawBinary = 0x2
	rawClose  = 0x8
	rawPing   = 0x9
	rawPong   = 0xa
	rawFin    = 0x80
)

// rawConn is a client written by hand, so that it can say what no decent one
// would. Its methods fail the test, which must be the goroutine they are called
// from, on anything unexpected.
type rawConn struct {
	*net.TCPConn
	t  *testing.T
	in *bufio.Reader
}

// connectRaw opens a TCP connection and says nothing yet.
func connectRaw(t *testing.T, n *node) *rawConn {
	t.Helper()
	return dialRaw(t, n, net.Dialer{})
}

// narrow is more than the receive window of a client of connectNarrow, and less
// than that and what the gateway's socket takes unsent: a response or message
// of this size leaves the gateway at once, and hangs in its kernel until it is
// read. A reset would lose it there.
const narrow = 60 << 10

// connectNarrow is connectRaw with a receive window of some 32 KiB. (One much
// smaller is less than a segment on a loopback device, and crawls.)
func connectNarrow(t *testing.T, n *node) *rawConn {
	t.Helper()
	return dialRaw(t, n, net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<10)
		}); e != nil {
			return e
		}
		return err
	}})
}

func dialRaw(t *testing.T, n *node, d net.Dialer) *rawConn {
	t.Helper()
	tcp, err := d.DialContext(within(t), "tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := tcp.(*net.TCPConn)
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{conn, t, bufio.NewReader(conn)}
}

// openRaw opens a WebSocket.
func openRaw(t *testing.T, n *node, path string) *rawConn {
	t.Helper()
	c := connectRaw(t, n)
	c.put(upgradeHead(path))
	c.expectOpen()
	return c
}

// upgradeHead is an opening handshake, with the key of RFC 6455, 1.3.
func upgradeHead(path string, fields ...string) string {
	return rawHead(append([]string{
		"GET " + path + " HTTP/1.1", "Host: warren.test", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, fields...)...)
}

// rawHead is a request head of these lines.
func rawHead(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// masked is a client's frame.
func masked(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

// closeBody is the body of a close frame.
func closeBody(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// put writes all parts in one go.
func (c *rawConn) put(parts ...string) {
	c.t.Helper()
	if _, err := c.Write([]byte(strings.Join(parts, ""))); err != nil {
		c.t.Fatal(err)
	}
}

// drip writes one byte a TCP segment.
func (c *rawConn) drip(parts ...string) {
	c.t.Helper()
	for _, b := range []byte(strings.Join(parts, "")) {
		if _, err := c.Write([]byte{b}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// flood writes in the background, until an error, what the peer may not want
// to read. The result is closed when all is written or refused; the end of the
// test waits for that.
func (c *rawConn) flood(size int) (written <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Write(bytes.Repeat([]byte{'x'}, size))
	}()
	c.t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return done
}

// response reads an HTTP response with its body.
func (c *rawConn) response() (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("instead of a response: %v", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("in the body of a %s: %v", r.Status, err)
	}
	return r, string(body)
}

func (c *rawConn) expectOpen() {
	c.t.Helper()
	r, body := c.response()
	if r.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatalf("instead of a WebSocket: %s %s", r.Status, body)
	}
	if got, want := r.Header.Get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		c.t.Fatalf("Sec-WebSocket-Accept is %q, want %q", got, want)
	}
}

// frame reads a server's frame, which must be unmasked and have its shortest
// length.
func (c *rawConn) frame() (first byte, payload string) {
	c.t.Helper()
	head := c.take(2)
	size := uint64(head[1])
	least := uint64(0)
	switch size {
	case 126:
		size, least = uint64(binary.BigEndian.Uint16(c.take(2))), 126
	case 127:
		size, least = binary.BigEndian.Uint64(c.take(8)), 1<<16
	}
	if size < least || head[1] > 127 {
		c.t.Fatalf("bad header: % x and a length of %d", head, size)
	}
	return head[0], string(c.take(int(size)))
}

func (c *rawConn) take(n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(c.in, b); err != nil {
		c.t.Fatalf("instead of a frame: %d bytes, %q, and then %v", got, brief(string(b[:got])), err)
	}
	return b
}

func (c *rawConn) expectFrame(first byte, payload string) {
	c.t.Helper()
	gotFirst, got := c.frame()
	if gotFirst != first || got != payload {
		c.t.Fatalf("got frame %#x %s, want %#x %s", gotFirst, brief(got), first, brief(payload))
	}
}

func brief(s string) string {
	if len(s) > 130 {
		return strings.ToValidUTF8(s[:130], "?") + "..."
	}
	return s
}

// expectClose wants a close frame; code 0 stands for none.
func (c *rawConn) expectClose(code int) (reason string) {
	c.t.Helper()
	first, body := c.frame()
	if first != rawFin|rawClose {
		c.t.Fatalf("got frame %#x %s, want a close frame with %d", first, brief(body), code)
	}
	switch {
	case code == 0 && body == "":
		return ""
	case len(body) < 2 || body[:2] != closeBody(code, ""):
		c.t.Fatalf("got close frame %q, want code %d", body, code)
	}
	return body[2:]
}

// expectFailed wants what a server does that fails a connection: a close frame
// with a reason, then an orderly end.
func (c *rawConn) expectFailed(code int) {
	c.t.Helper()
	if c.expectClose(code) == "" {
		c.t.Errorf("the close frame with %d has no reason", code)
	}
	c.expectEnd()
}

// expectEnd wants a FIN next.
func (c *rawConn) expectEnd() {
	c.t.Helper()
	if b, err := c.in.ReadByte(); err != io.EOF {
		c.t.Fatalf("instead of the end: byte %#x, error %v", b, err)
	}
}

// expectReset wants a RST next.
func (c *rawConn) expectReset() {
	c.t.Helper()
	if b, err := c.in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("instead of a reset: byte %#x, error %v", b, err)
	}
}

// expectCut wants the connection closed in whatever way, with no byte before.
func (c *rawConn) expectCut() {
	c.t.Helper()
	if b, err := c.in.ReadByte(); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("instead of the end: byte %#x, error %v", b, err)
	}
}
