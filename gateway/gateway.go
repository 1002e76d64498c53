// Package gateway is the engine of a node: it accepts WebSocket connections,
// publishes what they send to an Exchange, and delivers what comes from there.
//
// A channel has one log of encoded frames, and each client a place in it. To
// deliver is to write from there to the log's end. Clients are bare descriptors
// spread over event loops, the shards; nobody else touches them.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"warren/gateway/forwarded"
	"warren/gateway/framelog"
	"warren/gateway/request"
)

// Gateway is one node.
type Gateway struct {
	// Static after New.
	o        Options
	ex       Exchange
	log      *slog.Logger
	debug    bool
	origins  request.Origins
	began    time.Time
	pressLag int64 // a quarter of clients.max_lag: from there the source is held back
	chunk    int   // bytes of a log written at once
	tooBig   string

	// Static after Listen.
	lfd        int  // the listening socket, non-blocking
	adopted    bool // it is somebody else's, too
	addr       net.Addr
	maxConns   int64 // descriptors for connections
	maxClients int64
	rate       *rate.Limiter // of new clients; nil: any
	trusted    forwarded.Trusted

	shards []*shard

	plain *plainServer // static after Serve began

	// Any goroutine.
	crowd     crowd
	addresses addresses
	count     counters
	conns     atomic.Int64 // connections that shards have or will get
	clients   atomic.Int64 // open WebSockets
	inbound   atomic.Int64 // bytes against memory.inbound
	holding   atomic.Int64 // holds whose messages wait for the exchange
	stopping  atomic.Bool
	left      atomic.Int64  // shards that accept no more
	quiet     chan struct{} // of capacity 1: clients, conns or holding fell in a stop, or left rose
	drain     drainer

	linked atomic.Bool // the exchange was linked at least once
	roomed signpost    // for those who wait with Submit

	mu        sync.Mutex
	channels  map[string]*channel // guarded by mu; "" is root
	heard     int                 // guarded by mu: channels that clients listen to
	ids       numbering           // guarded by mu
	gaps      uint32              // guarded by mu: how many there were; wraps
	histories histories           // guarded by mu
	encoders  int                 // guarded by mu: editions but for raw ones
	encoded   []byte              // guarded by mu: room to encode in
}

// New checks o and makes a gateway; it opens nothing yet.
func New(o Options, ex Exchange) (*Gateway, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	origins, err := request.ParseOrigins(o.WebSocket.Origins)
	if err != nil {
		return nil, err
	}
	trusted, err := forwarded.ParseTrusted(o.Proxy.Trusted)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		o:        o,
		ex:       ex,
		log:      o.Logger,
		debug:    o.Logger.Enabled(context.Background(), slog.LevelDebug),
		origins:  origins,
		began:    time.Now(),
		pressLag: int64(o.Clients.MaxLag / 4),
		chunk:    min(chunkBytes, max(1, o.Clients.MaxLag/8)), // else one write makes a client slow
		tooBig:   fmt.Sprintf("message over %d bytes", o.WebSocket.MaxMessageSize),
		lfd:      -1,
		quiet:    make(chan struct{}, 1),
		rate:     newRate(o.Clients.HandshakeRate),
		trusted:  trusted,
		drain:    drainer{kick: make(chan struct{}, 1)},
		channels: map[string]*channel{},
		ids:      numbering{key: rand.Uint64(), young: o.History.Age / 2},
	}
	g.histories.limits = framelog.Limits{
		Frames: int64(o.History.Messages),
		Bytes:  o.History.Bytes,
		Age:    millis(o.History.Age),
	}
	g.addresses.most = o.Clients.MaxPerIP
	g.crowd.budget = budgetMillis
	return g, nil
}

// Addr is where Listen bound.
func (g *Gateway) Addr() net.Addr { return g.addr }

// Hold implements Receiver.
func (g *Gateway) Hold() <-chan struct{} { return g.crowd.Hold() }

// Ready implements Receiver.
func (g *Gateway) Ready() {
	g.roomed.open()
	for _, s := range g.shards {
		s.room.Store(true)
		s.wake()
	}
}

// Clients is how many there are, and with how many the node is full. Any
// goroutine, after Listen.
func (g *Gateway) Clients() (now, capacity int64) {
	capacity = g.maxClients
	if most := int64(g.o.Clients.Capacity); most > 0 {
		capacity = min(most, capacity)
	}
	return g.clients.Load(), capacity
}

// clock is milliseconds since the gateway began, wrapping after 49 days.
func (g *Gateway) clock() uint32 { return uint32(time.Since(g.began).Milliseconds()) }

// millis is a duration for comparison with differences of the clock.
func millis(d time.Duration) int32 { return int32(min(d.Milliseconds(), 1<<30)) }

// retained is what laggards of all shards keep alive of logs. A channel counts
// once a shard: an upper bound.
func (g *Gateway) retained() (sum int64) {
	for _, s := range g.shards {
		sum += s.retained.Load()
	}
	return sum
}

// retainsMost says whether no other shard retains more.
func (g *Gateway) retainsMost(s *shard) bool {
	for _, other := range g.shards {
		if other.retained.Load() > s.retained.Load() {
			return false
		}
	}
	return true
}

// settle tells a stop that clients, conns or holding may have become zero, or
// that the port is left.
func (g *Gateway) settle() {
	if !g.drain.final.Load() {
		return
	}
	select {
	case g.quiet <- struct{}{}:
	default:
	}
}

// Serve runs the exchange, the shards and the HTTP server until ctx ends.
// Then it leaves in order: not ready, for the drain's delay; no new connections,
// and the clients closed with 1012, over the drain's period, each after what its
// log still holds for it; the exchange flushed; all within the drain's timeout.
// If the cause of ctx's end is ErrStopNow, all clients are closed at once with
// 1001. It returns nil, or why it could not go on. It is called once, after
// Listen or Adopt.
func (g *Gateway) Serve(ctx context.Context) error {
	if g.lfd < 0 {
		return errNotListening
	}
	defer func() { _ = unix.Close(g.lfd) }()
	defer g.closePollers()
	g.plain = newPlainServer(g)

	failed := make(chan error, len(g.shards)+2) // room for all: nobody blocks
	var loops, exchange sync.WaitGroup
	for _, s := range g.shards {
		loops.Go(func() { report(failed, s.run()) })
	}
	loops.Go(func() { report(failed, g.plain.serve()) })
	// The exchange must outlive the clients: their last messages go through it.
	exCtx, endExchange := context.WithCancel(context.WithoutCancel(ctx))
	defer endExchange()
	exchange.Go(func() {
		if err := g.ex.Run(exCtx, g); err != nil {
			report(failed, fmt.Errorf("exchange: %w", err))
		}
	})
	watchCtx, endWatch := context.WithCancel(context.WithoutCancel(ctx)) // during the drain, too
	loops.Go(func() { g.watch(watchCtx) })
	if g.histories.keeps() {
		loops.Go(func() { g.forget(watchCtx) })
	}

	err := g.attend(ctx, failed)
	if err == nil {
		err = g.leave(ctx, failed)
	}
	g.stopping.Store(true)
	endWatch()
	endExchange()
	exchange.Wait()
	g.plain.close()
	for _, s := range g.shards {
		s.post(note{kind: noteExit})
	}
	loops.Wait()
	g.plain.close() // what shards handed over meanwhile
	return err
}

func report(failed chan<- error, err error) {
	if err != nil {
		failed <- err
	}
}

func (g *Gateway) openShards() error {
	for range g.o.Shards {
		s, err := newShard(g, len(g.shards))
		if err != nil {
			g.closePollers()
			g.shards = nil
			return err
		}
		g.shards = append(g.shards, s)
	}
	return nil
}

func (g *Gateway) closePollers() {
	for _, s := range g.shards {
		_ = s.poller.Close()
	}
}

var errNotListening = errors.New("gateway: Serve before Listen")
