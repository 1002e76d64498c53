package amqp

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// status is what Status says. The consuming side comes first: without it
// nothing is published either.
type status struct {
	mu               sync.Mutex
	consume, publish side
}

// side is how one of the two links is doing.
type side struct {
	up    bool
	doing string    // "connecting to amqp://host:5672/"
	err   error     // of the last attempt; nil at the first
	next  time.Time // when the next attempt begins
}

func (s *status) set(which *side, now side) {
	s.mu.Lock()
	*which = now
	s.mu.Unlock()
}

// trying keeps the last error, so that it can be read between attempts.
func (s *status) trying(which *side, doing string) {
	s.mu.Lock()
	which.up, which.doing, which.next = false, doing, time.Time{}
	s.mu.Unlock()
}

// failed says why the present attempt or link failed.
func (s *status) failed(which *side, err error, next time.Time) {
	s.mu.Lock()
	which.up, which.err, which.next = false, err, next
	s.mu.Unlock()
}

func (s *status) get(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.consume.report(now); err != nil && (s.consume.err != nil || s.publish.err == nil) {
		return err
	}
	// While a stream is read up to the marker, what keeps that from being
	// published is the reason.
	return s.publish.report(now)
}

func (s *side) report(now time.Time) error {
	switch {
	case s.up:
		return nil
	case s.err == nil:
		return errors.New(s.doing)
	case s.next.After(now):
		return fmt.Errorf("%s: %w; next try in %v", s.doing, s.err, max(s.next.Sub(now).Round(time.Second), time.Second))
	default:
		return fmt.Errorf("%s: %w; trying again", s.doing, s.err)
	}
}
