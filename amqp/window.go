package amqp

import (
	"sync"
	"time"

	"warren/gateway"
)

// window holds what Publish took until RabbitMQ has confirmed it, oldest
// first. It never holds more than its bounds, but always at least one message.
type window struct {
	maxCount, maxBytes int

	// wake tells the publishing goroutine of new messages. One is enough.
	wake chan struct{}

	mu      sync.Mutex
	ring    []entry // a power of two long; grows up to maxCount
	head    int     // of the oldest, in ring
	count   int
	sent    int           // of count, from the oldest: sent on the present channel
	bytes   int           // of all held
	taken   uint64        // number of the newest message ever put
	busy    bool          // a put was refused, and nobody was told yet that there is room
	wanted  int           // size of the largest refused while busy
	confirm chan struct{} // closed at the next confirm; nil if nobody waits for it
}

// entry is one message. Its number never changes, however often it is sent.
type entry struct {
	seq     uint64
	at      time.Time
	channel string
	payload []byte
	text    bool
	resent  bool // it is being sent again

	client                  gateway.ConnID
	user, session, clientID string
	settled                 func(gateway.MessageID, error) // nil: nobody asks
}

// settlement is a message that is through, and whom to tell.
type settlement struct {
	seq  uint64
	tell func(gateway.MessageID, error)
}

// entryOverhead is what a message costs besides its payload, about.
const entryOverhead = 160

func (e *entry) size() int {
	return len(e.payload) + len(e.channel) + len(e.user) + len(e.session) + len(e.clientID) + entryOverhead
}

func newWindow(maxCount, maxBytes int) *window {
	return &window{maxCount: maxCount, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// put copies m into the window, or reports false when it is full.
func (w *window) put(m gateway.Message, now time.Time) bool {
	w.mu.Lock()
	size := len(m.Payload) + len(m.Channel) + len(m.User) + len(m.Session) + len(m.ClientID) + entryOverhead
	// Once one was refused, so are all until there is room for the largest of
	// them: else small ones would keep it out for ever.
	if w.busy || w.count > 0 && (w.count >= w.maxCount || w.bytes+size > w.maxBytes) {
		w.busy, w.wanted = true, max(w.wanted, size)
		w.mu.Unlock()
		return false
	}
	if w.count == len(w.ring) {
		w.growLocked()
	}
	e := &w.ring[(w.head+w.count)&(len(w.ring)-1)]
	w.taken++
	*e = entry{
		seq: w.taken, at: now, channel: m.Channel, payload: append(e.payload[:0], m.Payload...), text: m.Text,
		client: m.Client, user: m.User, session: m.Session, clientID: m.ClientID, settled: m.Settled,
	}
	w.count++
	w.bytes += size
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return true
}

func (w *window) growLocked() {
	ring := make([]entry, max(64, 2*len(w.ring)))
	for i := range w.count {
		ring[i] = w.ring[(w.head+i)&(len(w.ring)-1)]
	}
	w.ring, w.head = ring, 0
}

// next is the oldest message not yet sent on this channel, which then counts
// as sent. Its payload stays until it is confirmed.
func (w *window) next() (e entry, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent == w.count {
		return entry{}, false
	}
	p := &w.ring[(w.head+w.sent)&(len(w.ring)-1)]
	w.sent++
	e = *p
	p.resent = true
	return e, true
}

// rewind begins a new channel, on which nothing was sent.
func (w *window) rewind() {
	w.mu.Lock()
	w.sent = 0
	w.mu.Unlock()
}

// pop drops the oldest n messages, which are through, and appends to through
// those that somebody asks about. It reports whether those who were refused
// should be told of room now: at three quarters, so that it isn't after every
// single confirm.
func (w *window) pop(n int, through []settlement) (_ []settlement, room bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		e := &w.ring[w.head]
		w.bytes -= e.size()
		if e.settled != nil {
			through = append(through, settlement{e.seq, e.settled})
		}
		e.channel, e.user, e.session, e.clientID, e.settled = "", "", "", "", nil
		if cap(e.payload) > max(256, w.maxBytes/w.maxCount) {
			e.payload = nil // kept buffers may not add up to more than maxBytes
		}
		w.head = (w.head + 1) & (len(w.ring) - 1)
		w.count--
		w.sent--
	}
	if w.confirm != nil {
		close(w.confirm)
		w.confirm = nil
	}
	if w.busy && (w.count == 0 || w.count <= w.maxCount*3/4 && w.bytes <= min(w.maxBytes*3/4, w.maxBytes-w.wanted)) {
		w.busy, w.wanted = false, 0
		room = true
	}
	return through, room
}

// state is how many messages and bytes the window holds, and how many of the
// messages were sent.
func (w *window) state() (count, bytes, sent int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count, w.bytes, w.sent
}

// lastTaken is the number of the newest message.
func (w *window) lastTaken() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.taken
}

// unconfirmed is how many of the messages up to number seq are still held,
// and a channel that is closed when a confirm may have changed that.
func (w *window) unconfirmed(seq uint64) (n uint64, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.confirm == nil {
		w.confirm = make(chan struct{})
	}
	// The held ones are the newest of all taken, without holes.
	if confirmed := w.taken - uint64(w.count); seq > confirmed {
		n = seq - confirmed
	}
	return n, w.confirm
}
