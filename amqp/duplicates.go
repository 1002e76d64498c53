package amqp

import (
	"time"

	"warren/gateway"
)

// Bounds of what is remembered to recognise duplicates by.
const (
	minHistory    = 8192 // sequence numbers a publisher
	maxPublishers = 1024 // then the one silent longest is forgotten
)

// duplicates recognises messages that were already delivered. Warren's own
// publishers number theirs, which also shows what is missing; of other
// programs the ids are remembered for a while. Not safe for concurrent use.
type duplicates struct {
	history    int // bits of a publisher's bitmap, a power of two
	publishers map[string]*publisherLog
	last       *publisherLog // most messages come in runs
	clock      uint64        // counts messages, to find who is silent longest

	// Two generations of ids. The older is dropped when the younger is full or
	// maxAge old: an id is remembered for maxAge, and at most twice that.
	foreign, older map[foreignID]struct{}
	turned         time.Time // when older was last replaced
	maxForeign     int       // a generation
	maxAge         time.Duration
	early          uint64 // generations dropped because the younger was full

	// Holes are sequence numbers passed over, filled those of them that
	// came later after all: a publisher sends again what it has no confirm
	// of. The difference is what was lost.
	holes, filled uint64

	// Holes right behind a gap in deliveries belong to it. Strays are the
	// others. epoch counts the gaps.
	strays, epoch uint64
}

// publisherLog is what was seen of one publisher.
type publisherLog struct {
	name    string
	highest uint64
	seen    []uint64 // bit seq%history, for the last history numbers
	used    uint64   // duplicates.clock at its last message
	epoch   uint64   // duplicates.epoch at its last message

	// A jump ahead by more than the history may be forged. Until so many more
	// messages followed it (doubt), numbers above base are not duplicates.
	base, doubt uint64
}

// foreignID is a message id of a program that isn't Warren. The same id from
// another program is another message.
type foreignID struct{ app, id string }

// newDuplicates makes a memory that covers publishers' windows of the given
// size, and begins with this node's own publisher, whose first number is 1.
func newDuplicates(window int, self string, foreign int, age time.Duration) *duplicates {
	history := minHistory
	for history < 2*window {
		history *= 2
	}
	d := &duplicates{
		history:    history,
		publishers: map[string]*publisherLog{},
		foreign:    map[foreignID]struct{}{},
		older:      map[foreignID]struct{}{},
		maxForeign: max(1, foreign/2),
		maxAge:     age,
	}
	d.add(self, 0)
	return d
}

// isNew reports whether a message was not seen before, and remembers it. A
// message without an id is always new. The id is taken apart; of a publisher's
// name there is one string for all its ids, which may be kept.
func (d *duplicates) isNew(app, id string, now func() time.Time) (name gateway.MessageID, isNew bool) {
	if id == "" {
		return gateway.MessageID{}, true
	}
	if app == appID {
		if publisher, seq, ok := parseID(id); ok {
			if d.jumpedOver(publisher, seq) {
				name.Publisher = d.publishers[publisher].name
				isNew = d.isNewForeign(foreignID{app, id}, now())
			} else {
				isNew = d.isNewSeq(publisher, seq)
				name.Publisher = d.last.name
			}
			name.Seq = seq
			return name, isNew
		}
	}
	return gateway.MessageID{Publisher: id}, d.isNewForeign(foreignID{app, id}, now())
}

// jumpedOver says that seq was passed over by a jump too far to be judged by
// the bitmap. It is judged by its id then: a forged number must not silence the
// publisher that it names.
func (d *duplicates) jumpedOver(publisher string, seq uint64) bool {
	p := d.publishers[publisher]
	return p != nil && p.doubt > 0 && seq > p.base && seq <= p.highest && p.highest-seq >= uint64(d.history)
}

func (d *duplicates) isNewSeq(publisher string, seq uint64) bool {
	p := d.last
	if p == nil || p.name != publisher {
		if p = d.publishers[publisher]; p == nil {
			// What it sent before we listened is none of our holes.
			p = d.add(publisher, seq-1)
		}
		d.last = p
	}
	d.clock++
	p.used = d.clock
	switch size := uint64(d.history); {
	case seq > p.highest:
		d.advance(p, seq)
		return true
	case p.highest-seq >= size || p.has(seq, size):
		return false
	default:
		p.set(seq, size)
		d.filled++
		return true
	}
}

// advance moves p's highest number to seq; the numbers between are holes.
func (d *duplicates) advance(p *publisherLog, seq uint64) {
	size, step := uint64(d.history), seq-p.highest
	if step <= mostHoles { // else it is forged, and no count of anything
		d.holes += step - 1
		if p.epoch == d.epoch {
			d.strays += step - 1
		}
	}
	p.epoch = d.epoch
	if step >= size {
		if p.doubt == 0 {
			p.base = p.highest
		}
		p.doubt = size
		clear(p.seen)
	} else {
		p.doubt -= min(p.doubt, 1)
		for s := p.highest + 1; s < seq; s++ {
			p.seen[s%size/64] &^= 1 << (s % 64)
		}
	}
	p.highest = seq
	p.set(seq, size)
}

// mostHoles is more than RabbitMQ could have lost between two messages.
const mostHoles = 1 << 32

func (p *publisherLog) has(seq, size uint64) bool { return p.seen[seq%size/64]&(1<<(seq%64)) != 0 }
func (p *publisherLog) set(seq, size uint64)      { p.seen[seq%size/64] |= 1 << (seq % 64) }

// add begins a publisher, all of whose numbers up to highest count as seen.
func (d *duplicates) add(name string, highest uint64) *publisherLog {
	if len(d.publishers) >= maxPublishers {
		var idle *publisherLog
		for _, p := range d.publishers {
			if idle == nil || p.used < idle.used {
				idle = p
			}
		}
		delete(d.publishers, idle.name)
	}
	// A copy of the name, lest it pins the message it came with.
	p := &publisherLog{name: string([]byte(name)), highest: highest, seen: make([]uint64, d.history/64), used: d.clock, epoch: d.epoch}
	for i := range p.seen {
		p.seen[i] = ^uint64(0)
	}
	d.publishers[p.name] = p
	return p
}

func (d *duplicates) isNewForeign(id foreignID, now time.Time) bool {
	full, age := len(d.foreign) >= d.maxForeign, now.Sub(d.turned)
	if full || age >= d.maxAge {
		switch {
		case age >= 2*d.maxAge:
			clear(d.foreign)
		case age < d.maxAge:
			d.early++
		}
		d.foreign, d.older = d.older, d.foreign
		clear(d.foreign)
		d.turned = now
	}
	if _, ok := d.foreign[id]; ok {
		return false
	}
	if _, ok := d.older[id]; ok {
		return false
	}
	d.foreign[id] = struct{}{}
	return true
}
