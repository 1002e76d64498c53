package rig

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Source is whoever sends numbered messages: a Sender or a Program.
type Source interface {
	ID() int   // small, and its own within a test
	Mark() int // messages from there on begin after the call, those before have begun
}

// Sender is a client that sends numbered messages, its id first. One
// goroutine at a time may make it send.
type Sender struct {
	*Client
	Pad string // behind each number, begins with a space

	id    int
	begun atomic.Int64
}

// ID implements Source.
func (s *Sender) ID() int { return s.id }

// SendNext sends one message.
func (s *Sender) SendNext() error {
	n := s.begun.Add(1) - 1
	if err := s.Send(fmt.Sprintf("%d/%d%s", s.id, n, s.Pad)); err != nil {
		return fmt.Errorf("sender %d, message %d: %w", s.id, n, err)
	}
	return nil
}

// SendMany sends so many without a pause.
func (s *Sender) SendMany(count int) error {
	for range count {
		if err := s.SendNext(); err != nil {
			return err
		}
	}
	return nil
}

// Mark implements Source.
func (s *Sender) Mark() int { return int(s.begun.Load()) }

// NewSender makes a sender of a client.
func NewSender(c *Client, id int) *Sender { return &Sender{Client: c, id: id} }

// Senders makes senders of clients, their ids counting from first.
func Senders(clients []*Client, first int) (all []*Sender) {
	for i, c := range clients {
		all = append(all, NewSender(c, first+i))
	}
	return all
}

// Talk is senders that send at a pace.
type Talk struct {
	senders []*Sender
	group   sync.WaitGroup
	over    chan struct{}
	stop    sync.Once

	mu  sync.Mutex
	err error // guarded by mu
}

// NewTalk lets each sender send a message at every tick, or as fast as its
// socket takes them if every is 0, until Stop or Cut is called or its
// connection closes.
func NewTalk(senders []*Sender, every time.Duration) *Talk {
	t := &Talk{senders: senders, over: make(chan struct{})}
	for _, s := range senders {
		t.group.Go(func() {
			if err := t.send(s, every); err != nil {
				t.mu.Lock()
				t.err = errors.Join(t.err, err)
				t.mu.Unlock()
			}
		})
	}
	return t
}

func (t *Talk) send(s *Sender, every time.Duration) error {
	now := make(chan time.Time)
	close(now)
	ticks := (<-chan time.Time)(now)
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-t.over:
			return nil
		case <-s.done:
			return nil
		default:
		}
		select {
		case <-ticks:
		case <-s.done:
			return nil
		case <-t.over:
			return nil
		}
		if err := s.SendNext(); err != nil {
			return err
		}
	}
}

// Stop ends the talk between two messages of each sender, and returns what
// kept them from sending.
func (t *Talk) Stop() error {
	t.stop.Do(func() { close(t.over) })
	t.group.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Cut ends the talk even if senders are stuck, by closing their connections.
func (t *Talk) Cut() {
	for _, s := range t.senders {
		s.conn.Close()
	}
	_ = t.Stop() // they were cut off
}
