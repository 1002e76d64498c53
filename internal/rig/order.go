package rig

import (
	"fmt"
	"sync"
)

// Order is the one order in which all clients of a channel must hear: whoever
// hears a message first sets it, the others follow.
type Order struct {
	mu    sync.RWMutex
	said  []Message       // guarded by mu
	place map[Message]int // guarded by mu
}

// NewOrder returns one in which nothing was said yet.
func NewOrder() *Order { return &Order{place: map[Message]int{}} }

// Len is how many messages were heard so far.
func (o *Order) Len() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.said)
}

// Place is where a message was heard, counted from 0.
func (o *Order) Place(m Message) (place int, ok bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	place, ok = o.place[m]
	return place, ok
}

// At is the message of a place below Len.
func (o *Order) At(place int) Message {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.said[place]
}

// Anywhere is the place of a listener that joins in the middle: that of the
// first message it hears.
const Anywhere = -1

// follower is one listener's way through an Order.
type follower struct {
	*Order
	next  int       // place of the next message, or Anywhere
	early []Message // heard before anyone knew their place
	err   error     // the first deviation; nothing is judged after it
}

// follow judges the next message that the listener heard.
func (f *follower) follow(m Message) {
	if f.err != nil {
		return
	}
	if f.next == Anywhere {
		// Not for us to say where it belongs: others may have heard less.
		f.early = append(f.early, m)
		f.find()
		return
	}
	f.step(m)
}

// find looks for the place of what came early.
func (f *follower) find() {
	if f.next != Anywhere || len(f.early) == 0 {
		return
	}
	place, ok := f.Place(f.early[0])
	if !ok {
		return
	}
	f.next = place
	for _, m := range f.early {
		if f.err == nil {
			f.step(m)
		}
	}
	f.early = nil
}

func (f *follower) step(m Message) {
	f.mu.RLock()
	known := f.next < len(f.said)
	same := known && f.said[f.next] == m
	f.mu.RUnlock()
	switch {
	case same:
		f.next++
	case known:
		f.deviate(m)
	default:
		f.lead(m)
	}
}

// lead sets the order, unless somebody else just did. Nothing comes in it twice.
func (f *follower) lead(m Message) {
	f.mu.Lock()
	before, again := f.place[m]
	if f.next == len(f.said) && !again {
		f.said = append(f.said, m)
		f.place[m] = f.next
	}
	same := f.next < len(f.said) && f.said[f.next] == m
	f.mu.Unlock()
	switch {
	case same:
		f.next++
	case again:
		f.err = fmt.Errorf("as message %d of the channel came %v, which was message %d before", f.next, m, before)
	default:
		f.deviate(m)
	}
}

func (f *follower) deviate(m Message) {
	f.err = fmt.Errorf("as message %d of the channel came %v, where another client heard %v", f.next, m, f.At(f.next))
}
