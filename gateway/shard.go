package gateway

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"warren/gateway/jsonv1"
	"warren/gateway/poll"
)

const (
	// pollBatch is how many events are taken at once. Many: what many publishers
	// send in one round goes out in one write a client.
	pollBatch = 256

	// sweepWrites is how many deliveries are written before the poller is
	// asked again, so that pings and new clients don't wait for a large round.
	sweepWrites = 256

	// tickEvery is the clock for deadlines, pings and clearing up.
	tickEvery = 100 * time.Millisecond

	// readBuffer is shared by all clients of a shard.
	readBuffer = 64 << 10
)

// listenerToken names the listening socket; client tokens have a slot below.
const listenerToken = 1<<32 - 1

// shard is one event loop and the clients it owns.
type shard struct {
	// Static.
	g      *Gateway
	number int          // in Gateway.shards
	poller *poll.Poller // but for Wake, owned by run

	// Any goroutine.
	sleeping atomic.Bool  // in the poller, or about to be: wake it
	room     atomic.Bool  // the exchange has room again
	gap      atomic.Bool  // messages were lost: close who was there before
	conns    atomic.Int64 // connections, and those on their way here
	retained atomic.Int64 // bytes that laggards keep alive of logs, and copies made for them

	mu    sync.Mutex
	mail  []note      // guarded by mu
	dirty []*audience // guarded by mu

	// Owned by run.
	now        uint32 // milliseconds since the gateway began; wraps after 49 days
	slots      []slot
	free       []uint32 // slots
	events     []poll.Event
	notes      []note
	work       workQueue
	fresh      []*audience
	audiences  []*audience
	latecomers map[*audience]struct{} // with late clients
	partials   []*client              // with inbound
	waiting    map[*client]waiter     // handshakes that wait for a message
	expecting  map[*client]struct{}   // with subscriptions that do
	told       []*client              // with private output, while nothing is owed to them
	holds      []*hold                // first in, first out
	turns      []*client              // who resume and wait for their turn, the same
	catchUp    int                    // bytes that they may still be written
	catchUpAt  uint32                 // in this millisecond
	swept      int                    // bytes that members were written since
	lateVisit  uint32                 // counts visitLate
	copies     int64                  // bytes copied for clients that are owed them, by the last round of ticks
	copying    int64                  // the same, of this round so far
	nextTick   uint32
	tickSlot   int // the next to visit
	tickAud    int // the next to visit
	clients    int // open
	pace       pace
	accepting  bool // the listener is in the poller
	resting    bool // it isn't, until restUntil at most
	restUntil  uint32
	left       bool // it never will be again
	stopping   bool
	done       bool
	shake      handshaker
	parser     jsonv1.Parser
	said       []byte // room to encode private output in
	ping       []byte // body of the latest ping of this read; nil: none
	pingBuf    [ws.MaxControlFramePayloadSize]byte
	buf        [readBuffer]byte
	scratch    [1024]byte // small output
}

// slot is a place for a client. The generation tells apart those that had it.
type slot struct {
	gen uint32
	c   *client
}

// note asks a shard for something.
type note struct {
	kind noteKind
	fd   int      // noteAdopt
	to   ConnID   // noteTell, noteDirect
	text []byte   // noteTell
	m    *Message // noteDirect

	from   netip.AddrPort // noteAdopt
	until  uint32         // noteEmpty: shard.now
	now    bool           // noteStop
	answer chan<- int     // noteAnswer: gets the shard's number; has room
}

type noteKind uint8

const (
	noteAdopt  noteKind = iota // own this new connection
	noteTell                   // write a client of the JSON protocol this frame
	noteDirect                 // write a client this message
	noteEmpty                  // close the clients, evenly
	noteFill                   // no more
	noteLeave                  // accept no more connections
	noteStop                   // close every client, take no more
	noteAnswer                 // say that the loop goes round
	noteExit                   // end
)

func newShard(g *Gateway, number int) (*shard, error) {
	p, err := poll.New(pollBatch)
	if err != nil {
		return nil, fmt.Errorf("open a poller: %w", err)
	}
	s := &shard{g: g, number: number, poller: p, latecomers: map[*audience]struct{}{}}
	s.shake.init(s)
	return s, nil
}

// run is the event loop. Its parts never block, but for the poller.
func (s *shard) run() error {
	defer s.end()
	s.now = s.g.clock()
	s.nextTick = s.now
	if err := s.accept(); err != nil {
		return err
	}
	for !s.done {
		if err := s.poll(); err != nil {
			return err
		}
		s.readMail()
		if s.room.Swap(false) {
			s.publishHeld()
		}
		s.acceptAgain()
		s.closeSome()
		s.sayTold() // before those who have just subscribed are written their channels
		s.sweep(sweepWrites)
		s.catchUpSome()
		if int32(s.now-s.nextTick) >= 0 {
			s.tick()
			s.sayTold()
			s.nextTick = s.now + uint32(tickEvery.Milliseconds())
		}
	}
	return nil
}

// poll waits for events, or until there is other work, and handles them.
func (s *shard) poll() error {
	wait := s.patience()
	if wait != 0 {
		s.sleeping.Store(true)
		if s.hasMail() {
			wait = 0
		}
	}
	var err error
	s.events, err = s.poller.Wait(s.events[:0], wait)
	s.sleeping.Store(false)
	s.now = s.g.clock()
	if wait < 0 {
		// It may have been weeks, and the clock wraps. Not at once: a listener
		// that rests would be asked again without a pause.
		s.nextTick = s.now + uint32(tickEvery.Milliseconds())
	}
	if err != nil {
		return fmt.Errorf("shard: %w", err)
	}
	for _, e := range s.events {
		s.handle(e)
	}
	return nil
}

// patience is how long to wait for events, in milliseconds, -1 for ever.
func (s *shard) patience() int {
	switch {
	case !s.work.empty():
		return 0
	case len(s.turns) > 0 && s.catchUp > 0:
		return 0
	case len(s.turns) > 0:
		return 1
	case s.conns.Load() == 0 && s.retained.Load() == 0 && (s.accepting || s.left):
		return -1 // nothing that a tick would see to
	}
	wait := max(0, int(int32(s.nextTick-s.now)))
	if s.resting {
		wait = min(wait, max(0, int(int32(s.restUntil-s.now))))
	}
	if s.pace.on && s.clients > 0 {
		wait = min(wait, paceMillis)
	}
	return wait
}

func (s *shard) handle(e poll.Event) {
	if e.Token == listenerToken {
		s.newcomers()
		return
	}
	slot := &s.slots[uint32(e.Token)]
	if slot.c == nil || slot.gen != uint32(e.Token>>32) {
		return // of a connection that is gone
	}
	c := slot.c
	if e.Hangup && c.watching&poll.Read == 0 {
		s.drop(c, endReset)
		return
	}
	if e.Readable || e.Hangup {
		s.read(c)
		if slot.c != c {
			return
		}
	}
	if e.Writable && c.out != nil {
		s.flush(c)
	}
}

// notify says that a's log has grown. Called by whoever appended.
func (s *shard) notify(a *audience) {
	if a.dirty.Swap(true) {
		return
	}
	s.mu.Lock()
	s.dirty = append(s.dirty, a)
	s.mu.Unlock()
	s.wake()
}

// post leaves a note. Any goroutine.
func (s *shard) post(n note) {
	s.mu.Lock()
	s.mail = append(s.mail, n)
	s.mu.Unlock()
	s.wake()
}

func (s *shard) wake() {
	if s.sleeping.Load() && s.sleeping.CompareAndSwap(true, false) {
		s.poller.Wake()
	}
}

func (s *shard) hasMail() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mail) > 0 || len(s.dirty) > 0 || s.room.Load() || s.gap.Load()
}

// readMail takes in what others left.
func (s *shard) readMail() {
	s.mu.Lock()
	s.mail, s.notes = s.notes[:0], s.mail
	s.dirty, s.fresh = s.fresh[:0], s.dirty
	s.mu.Unlock()
	for _, a := range s.fresh {
		s.work.push(a)
	}
	clear(s.fresh) // don't pin audiences that end
	for _, n := range s.notes {
		switch n.kind {
		case noteAdopt:
			s.adopt(n.fd, n.from)
		case noteTell:
			if c := s.find(n.to); c != nil {
				s.tell(c, n.text)
			}
		case noteDirect:
			s.direct(n.to, n.m)
		case noteEmpty:
			s.empty(n.until)
		case noteFill:
			s.pace.on = false
		case noteLeave:
			s.leavePort()
		case noteStop:
			s.stop(n.now)
		case noteAnswer:
			n.answer <- s.number
		case noteExit:
			s.done = true
		}
	}
	clear(s.notes)
	if s.gap.Swap(false) {
		s.closeForGap()
	}
}

// find is the open client of this name, nil if it is gone.
func (s *shard) find(id ConnID) *client {
	if slot := id.slot(); slot < uint32(len(s.slots)) {
		if c := s.slots[slot].c; c != nil && c.id == id && c.state == open {
			return c
		}
	}
	return nil
}

// add gives c a slot.
func (s *shard) add(c *client) {
	if n := len(s.free); n > 0 {
		c.slot = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		c.slot = uint32(len(s.slots))
		s.slots = append(s.slots, slot{})
	}
	s.slots[c.slot].c = c
}

func (s *shard) token(c *client) uint64 {
	return uint64(s.slots[c.slot].gen)<<32 | uint64(c.slot)
}

// watch tells the poller what to wait for on behalf of c.
func (s *shard) watch(c *client, in poll.Interest) {
	if c.watching == in {
		return
	}
	c.watching = in
	if err := s.poller.Modify(c.sock(), s.token(c), in); err != nil {
		// Can't happen to a descriptor we own; without events it would hang.
		s.g.log.Error("cannot watch a connection", "err", err)
	}
}

// rewatch derives the interest from the client's state.
func (s *shard) rewatch(c *client) {
	var in poll.Interest
	if !c.ended && (c.hold == nil || !c.hold.full() && s.g.inbound.Load() < s.g.o.Memory.Inbound/2) {
		in |= poll.Read
	}
	if c.out != nil && !c.out.parked && !c.out.starved {
		in |= poll.Write
	}
	s.watch(c, in)
}
