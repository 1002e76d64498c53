package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

const (
	// embeddedMessages and embeddedBytes bound what Embedded has taken and not
	// delivered; beyond, Publish says ErrBusy.
	embeddedMessages = 4096
	embeddedBytes    = 4 << 20
)

// Embedded is an in-process Exchange, for a node on its own: what its clients
// publish reaches its clients.
type Embedded struct {
	// Node is the node's name in message ids; "embedded". It is set before Run,
	// or not at all.
	Node string

	mu      sync.Mutex
	queue   batch         // guarded by mu
	refused bool          // guarded by mu: somebody waits for Ready
	under   int           // guarded by mu: messages taken by Run, not yet delivered
	arrived chan struct{} // of capacity 1
	drained chan struct{} // of capacity 1
}

// batch is messages with their payloads end to end.
type batch struct {
	messages []Message // Payload is set on the way out
	ends     []int     // of each payload in bytes
	bytes    []byte
}

func (b *batch) add(m Message) {
	b.bytes = append(b.bytes, m.Payload...)
	b.ends = append(b.ends, len(b.bytes))
	m.Payload = nil // the caller's
	b.messages = append(b.messages, m)
}

func (b *batch) reset() {
	clear(b.messages)
	b.messages, b.ends, b.bytes = b.messages[:0], b.ends[:0], b.bytes[:0]
}

// NewEmbedded makes one.
func NewEmbedded() *Embedded {
	return &Embedded{Node: "embedded", arrived: make(chan struct{}, 1), drained: make(chan struct{}, 1)}
}

// boot tells one run of a node from the next, which numbers its messages from 1
// again.
func boot() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Run implements Exchange. What it has not delivered when it ends is never
// settled.
func (e *Embedded) Run(ctx context.Context, to Receiver) error {
	id := MessageID{Publisher: e.Node + "." + boot()}
	seen := ownIDs{young: map[ownID]struct{}{}}
	var taken batch
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.arrived:
		}
		e.mu.Lock()
		taken, e.queue = e.queue, taken
		e.under = len(taken.messages)
		e.mu.Unlock()
		begin := 0
		for i, m := range taken.messages {
			m.Payload = taken.bytes[begin:taken.ends[i]]
			begin = taken.ends[i]
			for hold := to.Hold(); hold != nil; hold = to.Hold() {
				select {
				case <-hold:
				case <-ctx.Done():
					return nil
				}
			}
			id.Seq++
			if seen.isNew(&m, time.Now) {
				to.Deliver(Message{Channel: m.Channel, Payload: m.Payload, Text: m.Text, MessageID: id})
			}
			if m.Settled != nil {
				m.Settled(id, nil)
			}
		}
		taken.reset()
		e.mu.Lock()
		refused := e.refused
		e.refused = false
		e.under = 0
		empty := len(e.queue.messages) == 0
		e.mu.Unlock()
		if refused {
			to.Ready()
		}
		if empty {
			signal(e.drained)
		}
	}
}

// Publish implements Exchange.
func (e *Embedded) Publish(m Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.queue.messages); n >= embeddedMessages || n > 0 && len(e.queue.bytes)+len(m.Payload) > embeddedBytes {
		e.refused = true
		return ErrBusy
	}
	e.queue.add(m)
	if len(e.queue.messages) == 1 {
		signal(e.arrived)
	}
	return nil
}

// Status implements Exchange: it is always there.
func (e *Embedded) Status() error { return nil }

// Flush implements Exchange. One caller at a time.
func (e *Embedded) Flush(ctx context.Context) error {
	for {
		e.mu.Lock()
		left := len(e.queue.messages) + e.under
		e.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-e.drained:
		case <-ctx.Done():
			return fmt.Errorf("%d messages were not delivered: %w", left, ctx.Err())
		}
	}
}

// signal leaves one token.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Of the ids that clients give their messages, Embedded remembers so many, each
// for so long, if not half of the number is used up before.
const (
	embeddedIDs   = 65536
	embeddedIDAge = 2 * time.Minute
)

// ownID is a message's id by its sender, and who that is.
type ownID struct {
	user, session string
	client        ConnID
	id            string
}

// ownIDs recognises what a client sends again, in two generations: the older is
// dropped when the younger is full or has its age.
type ownIDs struct {
	young, old map[ownID]struct{}
	turned     time.Time // when the younger began
}

// isNew reports whether m was not seen before, and remembers it. Without an id
// it is always new.
func (o *ownIDs) isNew(m *Message, now func() time.Time) bool {
	if m.ClientID == "" {
		return true
	}
	id := ownID{user: m.User, id: m.ClientID}
	if id.user == "" {
		if id.session = m.Session; id.session == "" {
			id.client = m.Client
		}
	}
	t := now()
	switch age := t.Sub(o.turned); {
	case age >= 2*embeddedIDAge:
		o.young, o.old, o.turned = map[ownID]struct{}{}, nil, t
	case age >= embeddedIDAge, len(o.young) >= embeddedIDs/2:
		o.young, o.old, o.turned = map[ownID]struct{}{}, o.young, t
	}
	if _, again := o.young[id]; again {
		return false
	}
	if _, again := o.old[id]; again {
		return false
	}
	o.young[id] = struct{}{}
	return true
}
