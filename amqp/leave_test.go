package amqp_test

import (
	"bytes"
	"sync"
	"testing"

	"warren/amqp"
)

// A node that leaves unbinds its queue before the queue goes: what others publish
// meanwhile has nowhere to fail.
func TestLeavingUnbinds(t *testing.T) {
	var mu sync.Mutex
	var said []byte
	p := newProxy(t)
	p.overhear = func(b []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, b...)
		return b
	}
	n := newNode(t, func(o *amqp.Options) { o.URLs = []string{p.url()} })
	mu.Lock()
	said = nil
	mu.Unlock()
	n.stop()
	p.refuse()
	p.wg.Wait() // both links have ended
	// Class, method, two bytes of no use and the queue's name (AMQP 0-9-1, 1.7.2.5);
	// class and method (1.4.2.9).
	unbind := bytes.Index(said, append([]byte{0, 50, 0, 50, 0, 0, byte(len(n.queue()))}, n.queue()...))
	leave := bytes.LastIndex(said, []byte{0, 10, 0, 50})
	if unbind < 0 || leave < unbind {
		t.Errorf("queue.unbind is at %d of what the node said, connection.close at %d: %q", unbind, leave, said)
	}
}
