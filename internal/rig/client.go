package rig

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

// LastWord ends the listening of a client.
const LastWord = "end"

// Restarts is the close code of a node that was stopped by SIGTERM, or drains (the
// IANA registry's "Service Restart").
const Restarts ws.StatusCode = 1012

// Client is a WebSocket client by hand, cheap enough for millions of messages
// beside the nodes they come from. Pings are answered while it listens.
type Client struct {
	Tally
	Node   *Node
	Header http.Header // of the upgrade's response

	conn  net.Conn
	in    *bufio.Reader
	order follower // its Order is nil if any order is fine
	typed *typed   // nil if it gets raw messages

	pongs   sync.WaitGroup
	ponging atomic.Bool

	joined bool // static once it is shared
	done   chan struct{}
	err    error // why listening ended, nil after LastWord; set before done is closed
}

// ClientOptions says how a client is opened. Zero is fine.
type ClientOptions struct {
	// Kernel bounds the kernel's buffers, in bytes each, 0 doesn't: with it,
	// not reading shows soon, and what was sent is soon taken.
	Kernel int

	// Limit is how long the connection may take in all; 0: for ever.
	Limit time.Duration

	// Order is what the client must follow, from Place on.
	Order *Order
	Place int

	// JSON is for the JSON protocol, on the channel that the path names.
	JSON bool

	// TLS, if it isn't nil, is for wss.
	TLS *tls.Config

	// After is a client that is done, and that this one is judged together
	// with, as if it were one that was never cut off. Its Order counts.
	After *Client
}

// RefusedError is an answer other than 101.
type RefusedError struct {
	Status int
	Body   string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("refused with %d %s", e.Status, e.Body) }

// ClosedError is the server's close frame.
type ClosedError struct {
	Code   ws.StatusCode
	Reason string
}

func (e *ClosedError) Error() string { return fmt.Sprintf("closed with %d %q", e.Code, e.Reason) }

// Open connects a client that nobody reads for: see Listen. ctx is for the
// handshake.
func Open(ctx context.Context, n *Node, path string, o ClientOptions) (*Client, error) {
	c, err := dial(ctx, n.Addr(), n.Name, path, o)
	if err == nil {
		c.Node = n
	}
	return c, err
}

// dial connects to addr, which is that of whom.
func dial(ctx context.Context, addr, whom, path string, o ClientOptions) (*Client, error) {
	d := net.Dialer{Timeout: getTimeout}
	if o.Kernel > 0 {
		d.Control = func(_, _ string, raw syscall.RawConn) (err error) {
			if e := raw.Control(func(fd uintptr) { err = setBuffers(int(fd), o.Kernel) }); e != nil {
				return e
			}
			return err
		}
	}
	connect := d.DialContext
	if o.TLS != nil {
		connect = (&tls.Dialer{NetDialer: &d, Config: o.TLS}).DialContext
	}
	conn, err := connect(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", whom, err)
	}
	c := &Client{
		conn:  conn,
		in:    bufio.NewReaderSize(conn, window),
		order: follower{Order: o.Order, next: o.Place},
		done:  make(chan struct{}),
	}
	c.Who = fmt.Sprintf("client %s of %s", conn.LocalAddr(), whom)
	if o.JSON {
		c.typed = newTyped(path)
	}
	if o.After != nil {
		c.take(&o.After.Tally)
		c.order = o.After.order
		c.Who += ", resumed"
	}
	if err := c.upgrade(ctx, path); err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening %s on %s: %w", path, whom, err)
	}
	if o.Limit > 0 {
		err = conn.SetDeadline(time.Now().Add(o.Limit))
	}
	return c, err
}

func setBuffers(fd, size int) error {
	return errors.Join(
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, size),
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, size),
	)
}

func (c *Client) upgrade(ctx context.Context, path string) error {
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	protocol := ""
	if c.typed != nil {
		protocol = "Sec-WebSocket-Protocol: warren.v1.json\r\n"
	}
	// The key is that of RFC 6455, 1.3.
	if _, err := io.WriteString(c.conn, "GET "+path+" HTTP/1.1\r\nHost: warren.test\r\nUpgrade: websocket\r\n"+protocol+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		return err
	}
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
		if err != nil {
			return err
		}
		return &RefusedError{r.StatusCode, string(body)}
	}
	c.Header = r.Header
	return nil
}

// Join connects a client that listens in a goroutine of its own. Close ends it.
func Join(ctx context.Context, n *Node, path string, o ClientOptions) (*Client, error) {
	c, err := Open(ctx, n, path, o)
	if err == nil {
		c.join()
	}
	return c, err
}

func (c *Client) join() {
	c.joined = true
	go c.Listen()
}

// JoinMany connects so many, some at a time. If one fails, all are closed.
func JoinMany(ctx context.Context, n *Node, path string, count int, o ClientOptions) ([]*Client, error) {
	return several(count, func() (*Client, error) { return Join(ctx, n, path, o) })
}

// several connects clients, some at a time. If one fails, all are closed.
func several(count int, connect func() (*Client, error)) ([]*Client, error) {
	const atATime = 16
	all, errs := make([]*Client, count), make([]error, count)
	var joining sync.WaitGroup
	for first := range atATime {
		joining.Go(func() {
			for i := first; i < count; i += atATime {
				all[i], errs[i] = connect()
			}
		})
	}
	joining.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, c := range all {
			if c != nil {
				c.Close()
			}
		}
		return nil, err
	}
	return all, nil
}

// Listen notes what the client hears until LastWord, or until the connection
// ends; then Done is closed.
func (c *Client) Listen() {
	defer close(c.done)
	for {
		text, err := c.text()
		if err == nil && string(text) == LastWord {
			return
		}
		if err == nil {
			err = c.hear(text)
		}
		if err != nil {
			c.err = err
			return
		}
	}
}

// text is the next message, valid until the next call.
func (c *Client) text() ([]byte, error) {
	for {
		b, err := c.Next()
		if err != nil || c.typed == nil {
			return b, err
		}
		if m, err := c.typed.read(b); err != nil || m != nil {
			return m, err
		}
	}
}

func (c *Client) hear(text []byte) error {
	m, err := parse(text)
	if err != nil {
		return err
	}
	if c.order.Order != nil {
		c.order.follow(m)
	}
	c.add(m)
	return nil
}

// Done is closed when the client listens no more.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the client listens no more, once Done is closed: nil if it heard
// LastWord.
func (c *Client) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// OutOfOrder says where the client left the Order, once Done is closed. Who has
// heard LastWord must have heard all of it.
func (c *Client) OutOfOrder() error {
	if c.order.Order == nil {
		return nil
	}
	c.order.find()
	switch {
	case c.order.err != nil:
		return fmt.Errorf("%s: %w", c.Who, c.order.err)
	case len(c.order.early) > 0:
		return fmt.Errorf("%s heard %d messages that nobody else heard, first %v", c.Who, len(c.order.early), c.order.early[0])
	case c.err == nil && c.order.next != Anywhere && c.order.next < c.order.Len():
		return fmt.Errorf("%s heard the last word after message %d, of %d", c.Who, c.order.next, c.order.Len())
	}
	return nil
}

// Close cuts the connection. If the client has joined, it waits for the
// listening to end.
func (c *Client) Close() {
	c.conn.Close()
	if c.joined {
		<-c.done
	}
	c.pongs.Wait()
}

// Next is the next text frame, valid until the next call.
func (c *Client) Next() ([]byte, error) {
	for {
		op, body, err := c.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case ws.OpText:
			return body, nil
		case ws.OpPing:
			c.pong(masked(ws.OpPong, body))
		case ws.OpClose:
			if len(body) < 2 {
				return nil, &ClosedError{}
			}
			return nil, &ClosedError{ws.StatusCode(binary.BigEndian.Uint16(body)), string(body[2:])}
		default:
			return nil, fmt.Errorf("frame of opcode %d", op)
		}
	}
}

// pong answers a ping beside the reading: who stops reading because its socket
// takes no more, while the node doesn't read before it has been read from, has
// locked itself up. Pings that come meanwhile need no answer of their own (RFC
// 6455, 5.5.3).
func (c *Client) pong(frame []byte) {
	if c.ponging.Swap(true) {
		return
	}
	c.pongs.Go(func() {
		_, _ = c.conn.Write(frame) // the reading will notice, too
		c.ponging.Store(false)
	})
}

// Send writes one text message.
func (c *Client) Send(text string) error {
	if c.typed != nil {
		text = c.typed.publish(text)
	}
	_, err := c.conn.Write(masked(ws.OpText, []byte(text)))
	return err
}

// Leave answers the server's close frame, which has ended the listening, and
// waits for an orderly end: a FIN from the server, which has read all, then one
// from the client.
func (c *Client) Leave(code ws.StatusCode) error {
	<-c.done
	closed := (*ClosedError)(nil)
	if !errors.As(c.err, &closed) || closed.Code != code || closed.Reason == "" {
		return fmt.Errorf("%s: instead of a close frame with %d: %w", c.Who, code, c.err)
	}
	if _, err := c.conn.Write(masked(ws.OpClose, ws.NewCloseFrameBody(code, ""))); err != nil {
		return fmt.Errorf("%s: answering the close frame: %w", c.Who, err)
	}
	if b, err := c.in.ReadByte(); err != io.EOF {
		return fmt.Errorf("%s: after the close frame: byte %#x, %w", c.Who, b, err)
	}
	return c.conn.Close()
}
