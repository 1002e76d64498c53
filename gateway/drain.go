package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// DrainPhase is how far the node is in leaving.
type DrainPhase int32

// Phases, in their order.
const (
	Serving   DrainPhase = iota
	Announced            // unready, still taking clients
	Emptying             // closing its clients
	Empty                // they are gone
	Stopping             // nothing is taken any more
)

// String is what the admin listener says.
func (p DrainPhase) String() string {
	return [...]string{"serving", "announced", "emptying", "empty", "stopping"}[p]
}

// DrainState is a snapshot of a drain.
type DrainState struct {
	Phase   DrainPhase
	Clients int64 // still there
}

// ErrStopNow, as the cause of Serve's context, skips the drain.
var ErrStopNow = errors.New("stop now")

// ErrDraining is why a node that drains isn't ready.
var ErrDraining = errors.New("the node is draining")

// Reasons of close frames. The first tells those who can read that they need not
// spread themselves over time: the node does.
const (
	reasonMove    = "the node drains: come back now"
	reasonRestart = "the node restarts"
	reasonStop    = "the node stops"
)

// drainer is how far the node is in leaving.
type drainer struct {
	phase atomic.Int32  // a DrainPhase, never Empty; changed under mu
	final atomic.Bool   // Serve is about to end: no way back
	kick  chan struct{} // of capacity 1: the phase has changed

	mu    sync.Mutex
	began time.Time // guarded by mu: when it was announced
	until time.Time // guarded by mu: when the last client is closed
}

func (d *drainer) is() DrainPhase { return DrainPhase(d.phase.Load()) }

func (d *drainer) changed() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// Drain empties the node: it is unready at once; after the delay it refuses new
// clients and closes those it has with 1012, evenly over the period. It goes on
// running. Again, it has no effect. Any goroutine.
func (g *Gateway) Drain() { g.announce() }

func (g *Gateway) announce() {
	d := &g.drain
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.is() != Serving {
		return
	}
	d.began = time.Now()
	d.phase.Store(int32(Announced))
	g.log.Info("draining: not ready any more", "clients", g.clients.Load(), "delay", g.o.Drain.Delay, "period", g.o.Drain.Period)
	d.changed()
}

// Undrain ends a drain: clients are taken again, and those that are left stay.
// The error is ErrStopping if the node is about to stop. Any goroutine.
func (g *Gateway) Undrain() error {
	d := &g.drain
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.final.Load():
		return ErrStopping
	case d.is() == Serving:
		return nil
	}
	for _, s := range g.shards {
		s.post(note{kind: noteFill})
	}
	d.phase.Store(int32(Serving)) // behind the notes: or the drain would close who is taken from now on
	g.log.Info("drain ended: taking clients again", "clients", g.clients.Load())
	d.changed()
	return nil
}

// Drained is how far a drain is. Any goroutine.
func (g *Gateway) Drained() DrainState {
	st := DrainState{Phase: g.drain.is(), Clients: g.clients.Load()}
	if st.Phase == Emptying && st.Clients == 0 {
		st.Phase = Empty
	}
	return st
}

// empty begins to close clients, if that is still wanted.
func (g *Gateway) empty() {
	d := &g.drain
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.is() != Announced {
		return
	}
	d.phase.Store(int32(Emptying))
	d.until = time.Now().Add(g.o.Drain.Period)
	g.log.Info("draining: closing clients", "clients", g.clients.Load(), "period", g.o.Drain.Period)
	// Under the lock: or the note of an Undrain could be overtaken.
	until := g.clock() + uint32(g.o.Drain.Period.Milliseconds())
	for _, s := range g.shards {
		s.post(note{kind: noteEmpty, until: until})
	}
}

// delayLeft is how much of the delay is left; it is counted from the
// announcement.
func (g *Gateway) delayLeft() time.Duration {
	d := &g.drain
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Until(d.began.Add(g.o.Drain.Delay))
}

// attend carries out drains until ctx ends, or a part of the node fails: that
// is the error.
func (g *Gateway) attend(ctx context.Context, failed <-chan error) error {
	delay := time.NewTimer(0)
	defer delay.Stop()
	for {
		if g.drain.is() == Announced {
			delay.Reset(g.delayLeft())
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-g.drain.kick:
		case <-delay.C:
			if g.drain.is() == Announced && g.delayLeft() <= 0 {
				g.empty()
			}
		}
	}
}

// vacate drains the node for good, until nobody is left or the period is over.
// ctx bounds it. The error is that of a part which failed meanwhile.
func (g *Gateway) vacate(ctx context.Context, failed <-chan error) error {
	g.announce()
	if err := pause(ctx, g.delayLeft(), failed, nil); err != nil {
		return err
	}
	for _, s := range g.shards {
		s.post(note{kind: noteLeave})
	}
	g.empty()
	g.drain.mu.Lock()
	until := g.drain.until.Add(tickEvery)
	g.drain.mu.Unlock()
	if err := g.await(ctx, until, failed, g.occupied); err != nil {
		return err
	}
	// The shards close the last client at the very end, if they get to it.
	return g.await(ctx, until.Add(g.o.Clients.CloseTimeout), failed, func() bool { return g.clients.Load() > 0 })
}

// await waits until then, or until it isn't so any more.
func (g *Gateway) await(ctx context.Context, until time.Time, failed <-chan error, so func() bool) error {
	for so() && time.Now().Before(until) && ctx.Err() == nil {
		if err := pause(ctx, time.Until(until), failed, g.quiet); err != nil {
			return err
		}
	}
	return nil
}

// occupied says that there are connections, or that some may still be accepted:
// who asks for a WebSocket is not a client yet.
func (g *Gateway) occupied() bool {
	return g.left.Load() < int64(len(g.shards)) || g.conns.Load() > 0
}

// pause waits for d, for ctx, or for early. The error is that of a part of the
// node which failed meanwhile.
func pause(ctx context.Context, d time.Duration, failed <-chan error, early <-chan struct{}) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-ctx.Done():
	case err := <-failed:
		return err
	}
	return nil
}

// leaveTime bounds a stop.
func (g *Gateway) leaveTime() time.Duration {
	o := &g.o.Drain
	if o.Timeout > 0 {
		return o.Timeout
	}
	return o.Delay + o.Period + 3*g.o.Clients.CloseTimeout + 2*time.Second + flushTimeout
}

// leave ends the node in order: it drains, closes whoever is left, and lets what
// clients have sent reach the exchange. The error is that of a part which failed
// meanwhile.
func (g *Gateway) leave(ctx context.Context, failed <-chan error) error {
	g.drain.mu.Lock()
	g.drain.final.Store(true)
	g.drain.mu.Unlock()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.leaveTime())
	defer cancel()
	// The last tenth is the exchange's: what clients have sent must not be lost
	// because some of them were slow to go.
	closing, cancelClosing := context.WithTimeout(limited, g.leaveTime()-min(g.leaveTime()/10, flushTimeout))
	defer cancelClosing()
	now := errors.Is(context.Cause(ctx), ErrStopNow)
	if !now {
		if err := g.vacate(closing, failed); err != nil {
			return err
		}
	}
	g.stop(closing, now)
	flushing, cancelFlush := context.WithTimeout(limited, flushTimeout)
	defer cancelFlush()
	if err := g.ex.Flush(flushing); err != nil {
		g.log.Warn("stopping: not all messages reached the exchange", "err", err)
	}
	return nil
}

// stop closes the clients that are left, and lets requests under way end.
func (g *Gateway) stop(ctx context.Context, now bool) {
	if n := g.clients.Load(); n > 0 {
		g.log.Info("stopping: closing clients", "clients", n)
	}
	g.stopping.Store(true)
	g.drain.mu.Lock() // or it could be overwritten by a Drain
	g.drain.phase.Store(int32(Stopping))
	g.drain.mu.Unlock()
	for _, s := range g.shards {
		s.post(note{kind: noteStop, now: now})
	}
	// The shards reset who doesn't close in time; a second for them to do so.
	deadline := time.NewTimer(g.o.Clients.CloseTimeout + time.Second)
	defer deadline.Stop()
	for g.conns.Load() > 0 || g.holding.Load() > 0 {
		select {
		case <-g.quiet:
			continue
		case <-deadline.C:
		case <-ctx.Done():
		}
		g.log.Warn("stopping: time is up", "connections", g.conns.Load(), "clients with unpublished messages", g.holding.Load())
		break
	}
	g.plain.shutdown(ctx, g.o.Clients.CloseTimeout)
}

// flushTimeout is how long a stop waits for the exchange to take what clients
// sent. Longer than RabbitMQ's restarts and failovers mostly take.
const flushTimeout = 20 * time.Second
