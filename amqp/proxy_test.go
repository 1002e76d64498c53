package amqp_test

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a node and the broker(p.t). A node's consuming connection
// comes first, then its publishing one.
type proxy struct {
	t    testing.TB
	addr string
	wg   sync.WaitGroup

	// What the broker says is changed so; set before the first connection.
	rewrite func([]byte) []byte

	// What nodes say goes through this, too; set before the first connection.
	overhear func([]byte) []byte

	mu     sync.Mutex
	listen net.Listener // nil while connections are refused
	pairs  []*pair      // in the order in which they came

	// How what the broker says is written to connections from now on; nil: at
	// once.
	pace func(net.Conn, []byte) error
}

// pair is one connection of a node and that to the broker behind it.
type pair struct {
	node, broker net.Conn
	deaf         atomic.Bool // what the node sends is thrown away
}

func newProxy(t *testing.T) *proxy {
	p := &proxy{t: t, addr: "127.0.0.1:0"}
	p.accept(t)
	p.addr = p.listen.Addr().String()
	t.Cleanup(func() {
		p.refuse()
		p.cut(-1)
		p.wg.Wait()
	})
	return p
}

// url is for the node.
func (p *proxy) url() string {
	return strings.Replace(broker(p.t).URL(), broker(p.t).Addr(), p.addr, 1)
}

// accept begins to take connections.
func (p *proxy) accept(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.listen = l
	p.wg.Go(func() { p.serve(l) })
}

// refuse ends that; connections that are there go on.
func (p *proxy) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listen != nil {
		p.listen.Close()
		p.listen = nil
	}
}

// cut closes the i-th connection, from 0; a negative i stands for all.
func (p *proxy) cut(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, c := range p.pairs {
		if i < 0 || k == i {
			c.node.Close()
			c.broker.Close()
		}
	}
}

// deafen makes the broker's side of the i-th connection miss what follows.
func (p *proxy) deafen(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pairs[i].deaf.Store(true)
}

func (p *proxy) serve(l net.Listener) {
	for {
		node, err := l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", broker(p.t).Addr())
		if err != nil {
			node.Close()
			continue
		}
		c := &pair{node: node, broker: b}
		p.mu.Lock()
		p.pairs = append(p.pairs, c)
		pace := p.pace
		p.mu.Unlock()
		p.wg.Go(func() { copyUnless(&c.deaf, b, node, p.overhear, nil) })
		p.wg.Go(func() { copyUnless(new(atomic.Bool), node, b, p.rewrite, pace) })
	}
}

// copyUnless copies until either end closes, then closes the other.
func copyUnless(drop *atomic.Bool, to, from net.Conn, rewrite func([]byte) []byte, pace func(net.Conn, []byte) error) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if drop.Load() {
			continue
		}
		b := buf[:n]
		if rewrite != nil {
			b = rewrite(b)
		}
		if pace != nil {
			if err := pace(to, b); err != nil {
				return
			}
			continue
		}
		if _, err := to.Write(b); err != nil {
			return
		}
	}
}
