package gateway_test

import (
	"context"
	"sync"

	"warren/gateway"
)

// recorder is an exchange that keeps what is published, and is busy when told.
// Deliveries come from the test.
type recorder struct {
	to chan gateway.Receiver // of capacity 1, filled by Run

	mu        sync.Mutex
	busy      bool // guarded by mu
	room      int  // guarded by mu: messages taken before it is busy again; -1: no end
	published []gateway.Message
	changed   chan struct{} // guarded by mu: closed and replaced at each message
	status    error
}

func newRecorder() *recorder {
	return &recorder{to: make(chan gateway.Receiver, 1), room: -1, changed: make(chan struct{})}
}

func (r *recorder) Run(ctx context.Context, to gateway.Receiver) error {
	r.to <- to
	<-ctx.Done()
	return nil
}

func (r *recorder) Publish(m gateway.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy || r.room == 0 {
		return gateway.ErrBusy
	}
	if r.room > 0 {
		r.room--
	}
	m.Payload = append([]byte(nil), m.Payload...)
	r.published = append(r.published, m)
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

func (r *recorder) Status() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *recorder) Flush(context.Context) error { return nil }

// setRoom lets so many messages in, -1 all, 0 none.
func (r *recorder) setRoom(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.room = n
}

// wait returns what was published once it is at least n messages.
func (r *recorder) wait(ctx context.Context, n int) []gateway.Message {
	for {
		r.mu.Lock()
		got, changed := r.published, r.changed
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return got
		}
	}
}
