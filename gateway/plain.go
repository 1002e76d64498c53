package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"warren/gateway/request"
)

const (
	// maxPlain is how many requests the HTTP server has at once; beyond, 503.
	maxPlain = 128

	// plainTimeout bounds each of its reads and writes.
	plainTimeout = 10 * time.Second
)

// plainServer answers what doesn't ask for a WebSocket: net/http, given
// connections by the shards, one request each. (A proxy may send an Upgrade on
// a kept connection, which would be lost on this side.)
type plainServer struct {
	http   *http.Server
	conns  chan net.Conn
	addr   net.Addr
	linger time.Duration // for a peer to close after its response
	once   sync.Once
	done   chan struct{}
	busy   atomic.Int64 // connections, at most maxPlain
	ending atomic.Bool  // nobody is waited for any more
}

func newPlainServer(g *Gateway) *plainServer {
	p := &plainServer{
		conns:  make(chan net.Conn, maxPlain),
		addr:   g.addr,
		linger: g.o.Clients.CloseTimeout,
		done:   make(chan struct{}),
	}
	p.http = &http.Server{
		Handler:           g.routes(),
		ReadHeaderTimeout: plainTimeout,
		ReadTimeout:       plainTimeout,
		WriteTimeout:      plainTimeout,
		MaxHeaderBytes:    request.MaxHead,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	p.http.SetKeepAlivesEnabled(false)
	return p
}

func (p *plainServer) serve() error {
	if err := p.http.Serve(p); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Accept implements net.Listener.
func (p *plainServer) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (p *plainServer) Addr() net.Addr { return p.addr }

// Close implements net.Listener.
func (p *plainServer) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// shutdown waits for requests under way.
func (p *plainServer) shutdown(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_ = p.http.Shutdown(ctx) // what is left, close ends
}

// close ends all of them.
func (p *plainServer) close() {
	p.ending.Store(true)
	_ = p.http.Close()
	for {
		select {
		case c := <-p.conns:
			_ = c.Close()
		default:
			return
		}
	}
}

// admit reserves a place for a connection; false if there is none.
func (p *plainServer) admit() bool {
	if p.busy.Add(1) > maxPlain {
		p.busy.Add(-1)
		return false
	}
	return true
}

// take gives an admitted connection to the server. pre is what has been read
// from it, from is the client.
func (p *plainServer) take(fd int, pre []byte, from netip.AddrPort) {
	// FileConn duplicates the descriptor; the file owns the first.
	f := os.NewFile(uintptr(fd), "tcp")
	conn, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		p.busy.Add(-1)
		return // it is closed, which is all that can be said to it
	}
	p.conns <- &plainConn{TCPConn: conn.(*net.TCPConn), server: p, pre: pre, from: from}
}

// plainConn reads what the shard has read, then the connection.
type plainConn struct {
	*net.TCPConn
	server *plainServer
	pre    []byte
	from   netip.AddrPort
	closed atomic.Bool
}

// RemoteAddr is the client, who may be behind proxies.
func (c *plainConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.from) }

func (c *plainConn) Read(b []byte) (int, error) {
	if len(c.pre) > 0 {
		n := copy(b, c.pre)
		c.pre = c.pre[n:]
		return n, nil
	}
	return c.TCPConn.Read(b)
}

// Close lets the response arrive: to close with input unread would reset the
// connection, and what is on its way with it.
func (c *plainConn) Close() error {
	if c.closed.Swap(true) {
		return c.TCPConn.Close()
	}
	if !c.server.ending.Load() && c.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(c.server.linger))
		_, _ = io.Copy(io.Discard, c.TCPConn)
	}
	err := c.TCPConn.Close()
	c.server.busy.Add(-1)
	return err
}

// handOver moves a connection that doesn't ask for a WebSocket to the HTTP
// server. b is what was read of it.
func (s *shard) handOver(c *client, path, b []byte) {
	// A plain GET of root is a person with a browser; of a channel, a mistake.
	if _, where := request.Channel(path, s.g.o.WebSocket.Path); where == request.Named {
		s.refuse(c, request.ErrUpgradeRequired)
		return
	}
	if !s.g.plain.admit() {
		s.refuse(c, request.ErrFull)
		return
	}
	pre := append([]byte(nil), b...)
	fd, from := c.sock(), c.from
	// The poller must forget it: the duplicate would keep it watched.
	_ = s.poller.Remove(fd)
	s.leave(c, endHanded)
	s.g.plain.take(fd, pre, from)
}
