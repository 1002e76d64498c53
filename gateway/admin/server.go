// Package admin is the listener that only a machine, or a network of one's
// own, should reach: publishing over HTTP, the drain, and the health checks. There
// is no login.
//
//	POST   /publish/{channel}   the body is a message of that channel
//	POST   /publish             the body is a message of root
//	POST   /publish             with Content-Type application/x-ndjson: a message a line
//	POST   /drain               empties the node of its clients: 202
//	DELETE /drain               ends that: 200, or 409 once the node stops
//	GET    /drain               how far it is: 200
//	GET    /healthz, /readyz    as on the gateway's own port
//
// A message is answered once the exchange has confirmed it: 200 with its id. 503
// says that nothing was taken, 504 that it was taken and may be published yet,
// 422 that the exchange will not take it.
//
// A batch is published as it is read, in order, and answered with a line for
// each of its lines: the id, or an error. That is status 200, even if every line
// was wrong. Once the exchange takes nothing more, the rest is not tried. If it
// has taken nothing at all, the answer is 503 without lines.
//
// A drain is answered with {"phase":"emptying","clients":123}: the phase is
// serving, announced (not ready, but still taking clients), emptying, empty or
// stopping. Publishing goes on until the node stops.
//
// Refusals are problems (RFC 9457).
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"warren/gateway"
)

// Publisher is what messages go to. Any goroutine.
type Publisher interface {
	// Publish waits for room and for the confirm until ctx ends. Errors wrap
	// gateway.ErrAway, ErrStopping or ErrUnconfirmed; any other means that
	// the message will not be taken.
	Publish(ctx context.Context, m gateway.Message) (gateway.MessageID, error)

	// Submit is Publish without the wait for the confirm, of which m.Settled
	// tells. Messages of one goroutine keep their order. It copies what it
	// keeps of m.Payload.
	Submit(ctx context.Context, m gateway.Message) error

	// Status is nil while messages are taken, or says why not.
	Status() error
}

// Drainer empties the node of its clients. Any goroutine.
type Drainer interface {
	// Drain begins it; again, it has no effect.
	Drain()

	// Undrain ends it. The error is gateway.ErrStopping if the node is about
	// to stop.
	Undrain() error

	// Drained is how far it is.
	Drained() gateway.DrainState
}

// Node is what the listener is of; a *gateway.Gateway.
type Node interface {
	Publisher
	Drainer
}

// Options configures a Server. Sizes are bytes; every zero stands for the
// default named beside it.
type Options struct {
	MaxMessageSize int           // 64 KiB
	MaxBatchSize   int64         // of a whole body; 64 MiB
	MaxLines       int           // of a batch; 100,000
	MaxUnconfirmed int           // messages of a batch under way; 1000
	Memory         int64         // sum of the bodies and lines that are being read; 64 MiB
	ConfirmTimeout time.Duration // for room and a confirm; 10 s
	ReadTimeout    time.Duration // for a head, and between two reads of a body; 10 s
	StopTimeout    time.Duration // for requests under way when the server stops; 2 s
	Logger         *slog.Logger  // one that discards
}

const (
	maxConns     = 128              // beyond, they wait to be accepted
	maxHead      = 8 << 10          // bytes
	idleTimeout  = 30 * time.Second // between two requests
	bodyTimeout  = 5 * time.Minute  // for a whole body, however slowly it comes
	writeTimeout = 30 * time.Second // for an answer

	// answerTimeout is for the last answers of a server that stops.
	answerTimeout = 2 * time.Second
)

// Server is the admin listener.
type Server struct {
	// Static after New.
	o    Options
	node Node
	log  *slog.Logger
	http *http.Server

	// Static after Listen or Adopt.
	listener net.Listener
	hosts    hosts

	reading atomic.Int64 // bytes against Options.Memory

	requests sync.WaitGroup
	mu       sync.Mutex
	ended    bool // guarded by mu: no request begins any more
}

// New makes a server that opens nothing yet.
func New(o Options, node Node) *Server {
	setDefault(&o.MaxMessageSize, 64<<10)
	setDefault(&o.MaxBatchSize, 64<<20)
	setDefault(&o.MaxLines, 100_000)
	setDefault(&o.MaxUnconfirmed, 1000)
	setDefault(&o.Memory, 64<<20)
	setDefault(&o.ConfirmTimeout, 10*time.Second)
	setDefault(&o.ReadTimeout, 10*time.Second)
	setDefault(&o.StopTimeout, 2*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, node: node, log: o.Logger}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: o.ReadTimeout,
		ReadTimeout:       o.ReadTimeout, // a body that is wanted gets more
		WriteTimeout:      bodyTimeout + o.ConfirmTimeout + writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Listen binds addr ("host:port"; port 0 takes a free one). Connections wait
// until Serve runs.
func (s *Server) Listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	s.listener = limit(l, maxConns)
	s.hosts = hostsOf(addr, l.Addr())
	return nil
}

// Adopt serves on a listening socket of somebody else's, such as systemd's,
// instead of Listen. Serve only closes it: whoever else has it open still listens.
func (s *Server) Adopt(l net.Listener) error {
	if s.listener != nil {
		return fmt.Errorf("admin: adopting %s: is listening on %s already", l.Addr(), s.Addr())
	}
	s.listener = limit(l, maxConns)
	s.hosts = hostsOf(l.Addr().String(), l.Addr())
	return nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers requests until ctx ends, and those under way. It returns nil, or
// why it could not go on. It is called once, after Listen or Adopt.
func (s *Server) Serve(ctx context.Context) error {
	if s.listener == nil {
		return errors.New("admin: Serve before Listen")
	}
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	s.http.BaseContext = func(net.Listener) context.Context { return requests }
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()

	var err error
	select {
	case <-ctx.Done():
		// Whoever still waits for a confirm then is told that there is none.
		time.AfterFunc(s.o.StopTimeout, cut)
		s.shutdown(s.o.StopTimeout + answerTimeout)
		<-failed
	case err = <-failed:
		err = fmt.Errorf("admin listener on %s: %w", s.Addr(), err)
	}
	_ = s.http.Close()
	cut()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.requests.Wait()
	return err
}

func (s *Server) shutdown(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_ = s.http.Shutdown(ctx) // what is left, Close ends
}

// enter counts a request; false if the server has ended.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.requests.Add(1)
	}
	return !s.ended
}
