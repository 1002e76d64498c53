//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// forwarder is a link that can be cut: a port whose connections go on to another.
type forwarder struct {
	to       string
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex
	away  bool                  // whoever comes is turned away
	conns map[net.Conn]struct{} // both ends
	first time.Time             // when the first came since the link is back
}

// startForwarder forwards to an address. The caller closes it.
func startForwarder(to string) (*forwarder, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a forwarder to %s: %w", to, err)
	}
	w := &forwarder{to: to, listener: l, conns: map[net.Conn]struct{}{}}
	w.all.Go(w.accept)
	return w, nil
}

func (w *forwarder) addr() string { return w.listener.Addr().String() }

func (w *forwarder) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return // closed
		}
		w.all.Go(func() { w.forward(c) })
	}
}

func (w *forwarder) forward(from net.Conn) {
	defer w.drop(from)
	if !w.keep(from) {
		// With its first bytes unread it would see a reset or an end, as it
		// happens: two errors to report in turn.
		_ = from.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = from.Read(make([]byte, 8))
		return
	}
	to, err := net.DialTimeout("tcp4", w.to, stepDeadline)
	if err != nil {
		return // as if the link were away: who connects sees it close
	}
	defer w.drop(to)
	if !w.keep(to) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		defer w.drop(from)
		_, _ = io.Copy(from, to) // until one of both is closed
	})
	_, _ = io.Copy(to, from)
	w.drop(to)
	back.Wait()
}

// keep is false while the link is away.
func (w *forwarder) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return false
	}
	w.conns[c] = struct{}{}
	if w.first.IsZero() {
		w.first = time.Now()
	}
	return true
}

func (w *forwarder) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
	_ = c.Close()
}

// cut ends all connections and lets none through until restore.
func (w *forwarder) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = true
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *forwarder) restore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away, w.first = false, time.Time{}
}

// since is when the first connection came after restore; zero if none has.
func (w *forwarder) since() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first
}

func (w *forwarder) close() error {
	err := w.listener.Close()
	w.cut()
	w.all.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
