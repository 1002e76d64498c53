package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Why Publish and Submit fail.
var (
	// ErrAway: the exchange takes nothing; it has kept nothing of the message.
	ErrAway = errors.New("the exchange takes no messages at present")

	// ErrUnconfirmed: the exchange took the message, and had not confirmed it
	// when the time was up. It may be published yet.
	ErrUnconfirmed = errors.New("the exchange took the message, but did not confirm it in time")

	// ErrStopping: the node takes nothing more.
	ErrStopping = errors.New("the node is stopping")
)

// Status is nil while clients should be sent here, or says why not: ErrDraining,
// ErrStopping, or that the exchange is away. Any goroutine.
func (g *Gateway) Status() error { return g.unready() }

// Publish hands m, which comes from no client, to the exchange and returns the
// id under which it was confirmed. It waits for room and for the confirm until
// ctx ends. Errors wrap ErrAway, ErrStopping or ErrUnconfirmed; any other means
// that the exchange will not take the message. m.Settled is its own. Any
// goroutine.
func (g *Gateway) Publish(ctx context.Context, m Message) (MessageID, error) {
	type outcome struct {
		id  MessageID
		err error
	}
	settled := make(chan outcome, 1)
	m.Settled = func(id MessageID, err error) { settled <- outcome{id, err} }
	if err := g.Submit(ctx, m); err != nil {
		return MessageID{}, err
	}
	select {
	case o := <-settled:
		return o.id, o.err
	case <-ctx.Done():
		return MessageID{}, ErrUnconfirmed
	}
}

// Submit is Publish without the wait for the confirm: m.Settled tells of that,
// unless an error is returned. Messages submitted by one goroutine keep their
// order.
func (g *Gateway) Submit(ctx context.Context, m Message) error {
	for {
		room := g.roomed.wait() // before the exchange is asked: else a Ready between would be missed
		if err := g.takes(); err != nil {
			return err
		}
		if err := g.ex.Publish(m); !errors.Is(err, ErrBusy) {
			return err
		}
		select {
		case <-room:
			continue
		case <-ctx.Done():
		}
		if err := g.takes(); err != nil {
			return err
		}
		return fmt.Errorf("%w: too many are not confirmed yet", ErrAway)
	}
}

// takes is nil while messages may be published, or wraps ErrStopping or ErrAway.
func (g *Gateway) takes() error {
	if g.stopping.Load() {
		return ErrStopping
	}
	if err := g.ex.Status(); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return nil // a node that drains still publishes
}

// signpost tells any number of goroutines that the exchange has room again.
type signpost struct {
	mu     sync.Mutex
	opened chan struct{} // guarded by mu; nil if nobody waits
}

// wait is a channel that is closed at the next open.
func (s *signpost) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened == nil {
		s.opened = make(chan struct{})
	}
	return s.opened
}

func (s *signpost) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened != nil {
		close(s.opened)
		s.opened = nil
	}
}
