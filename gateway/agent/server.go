// Package agent answers HAProxy's agent checks (agent-check): whether the node
// takes clients, and how much room it has left. HAProxy connects, reads one
// line, and the connection ends.
//
//	ready up 87%     takes clients; 87% of its capacity is left
//	ready up 0%      is full: no new clients, until some have left
//	drain            leaves: no new clients, those it has stay
//	down #reason     can't serve anybody, such as without its exchange
//
// HAProxy keeps what it is not told anew: only "ready" ends a drain and only "up"
// ends a down, even those of the process that had the port before. Hence both
// stand in every answer of a node that is well, though "ready" ends as well what
// was set by hand at HAProxy. "up" doesn't outvote HAProxy's own check.
//
// Percentages are of the weight in HAProxy's configuration, cut to whole numbers:
// it must be 100, or a weight of 1 is 0 from the first client on.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// Node is what HAProxy wants to know of; a *gateway.Gateway. Any goroutine.
type Node interface {
	// Status is nil while clients are welcome, or says why not. It wraps
	// gateway.ErrDraining or ErrStopping if the node is about to leave.
	Status() error

	// Clients are how many there are, and how many make the node full; with
	// a capacity of 0 it never is.
	Clients() (now, capacity int64)
}

// Options configures a Server. Every zero stands for the default named beside it.
type Options struct {
	Timeout time.Duration // for a whole connection; 2 s
	Logger  *slog.Logger  // one that discards
}

const (
	maxConns = 32      // at a time; beyond, they wait to be accepted
	maxInput = 4 << 10 // bytes read of agent-send

	// acceptPause is how long a server that is out of descriptors waits.
	acceptPause = 100 * time.Millisecond
)

// Server answers agent checks.
type Server struct {
	// Static after New.
	o    Options
	node Node
	log  *slog.Logger

	listener net.Listener // static after Listen or Adopt

	mu   sync.Mutex
	last word // guarded by mu: answered last
}

// New makes a server that opens nothing yet.
func New(o Options, node Node) *Server {
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{o: o, node: node, log: o.Logger}
}

// Listen binds addr ("host:port"; port 0 takes a free one). Connections wait
// until Serve runs.
func (s *Server) Listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	s.listener = l
	return nil
}

// Adopt serves on a listening socket of somebody else's, such as systemd's,
// instead of Listen. Serve only closes it: whoever else has it open still listens.
func (s *Server) Adopt(l net.Listener) error {
	if s.listener != nil {
		return fmt.Errorf("agent: adopting %s: is listening on %s already", l.Addr(), s.Addr())
	}
	s.listener = l
	return nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers until ctx ends, and those that have connected by then. It returns
// nil, or why it could not go on. It is called once, after Listen or Adopt.
func (s *Server) Serve(ctx context.Context) error {
	if s.listener == nil {
		return errors.New("agent: Serve before Listen")
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	running.Go(func() {
		<-ctx.Done()
		_ = s.listener.Close()
	})
	places := make(chan struct{}, maxConns)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		c, err := s.listener.Accept()
		switch {
		case err == nil:
			running.Go(func() {
				defer func() { <-places }()
				s.answer(c)
			})
			continue
		case ctx.Err() != nil:
			return nil
		case !passing(err):
			return fmt.Errorf("agent listener on %s: %w", s.Addr(), err)
		}
		<-places
		s.log.Debug("cannot accept agent checks: resting", "err", err)
		select {
		case <-time.After(acceptPause):
		case <-ctx.Done():
		}
	}
}

// passing says of an error of Accept that the next attempt may fare better:
// there are no descriptors or no memory, or whoever came has left.
func passing(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// answer sends the line and waits for the peer to close. What agent-send has
// HAProxy say is read and means nothing: a close with unread input is a reset,
// which may overtake the line.
func (s *Server) answer(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(s.o.Timeout))
	a := answerOf(s.node)
	s.note(a)
	_, err := c.Write(a.line())
	if err == nil {
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // HAProxy may have reset it: it has what it wants
		}
		_, err = io.CopyN(io.Discard, c, maxInput)
	}
	s.log.Debug("answered an agent check", "remote", c.RemoteAddr(), "answer", a, "end", err)
}

// note logs when the answer has become another one, whoever asked.
func (s *Server) note(a answer) {
	s.mu.Lock()
	was := s.last
	s.last = a.word
	s.mu.Unlock()
	if a.word == was {
		return
	}
	attrs := []any{"answer", a.word}
	if was != "" {
		attrs = append(attrs, "before", was)
	}
	if a.reason != "" {
		attrs = append(attrs, "reason", a.reason)
	}
	s.log.Info("HAProxy's agent check has a new answer", attrs...)
}
