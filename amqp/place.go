package amqp

import (
	"sort"

	"warren/gateway"
)

// places is how many of the last messages read are remembered, to find where
// the stream goes on from what we know, should its end have been cut.
const places = 1 << 16

// place is how far the stream was read: over attachments, as long as the
// process lives.
type place struct {
	known  []gateway.ID // the last ones read, ascending; a ring once it is full
	oldest int          // in known

	// Messages that the library can't read end the link, again and again.
	stuck int   // attachments that ended so, in a row, without anything new
	skip  int64 // offsets behind the last that are left out

	from   origin
	behind bool // what comes is still compared with what is known
	first  bool // nothing has come since the attachment
	moved  bool // something new has
}

// origin is where reading is taken up. Each stands for less trust in what is
// known than the one before it.
type origin int

const (
	fromLast   origin = iota // the last message read must come first
	fromKnown                // the oldest one known
	fromEnd                  // the last chunk there is, to see how far the stream goes
	fromOldest               // the oldest one there is
)

// verdict is what a message is to a reader.
type verdict int

const (
	isNext    verdict = iota // go on
	isKnown                  // was read before: drop it
	isBehind                 // go on, behind a gap: what was between is gone
	isOther                  // go on, behind a gap: the stream isn't what it was
	isSkipped                // go on, behind a gap: what was between can't be read
	isForeign                // not what was at this offset: attach anew, further back
)

// read says whether anything was.
func (p *place) read() bool { return len(p.known) > 0 }

func (p *place) at(i int) gateway.ID { return p.known[(p.oldest+i)%len(p.known)] }

func (p *place) last() gateway.ID { return p.at(len(p.known) - 1) }

// attach begins to judge what comes; what is asked for depends on from.
func (p *place) attach() {
	p.behind, p.first, p.moved = p.read() && (p.skip == 0 || p.from != fromLast), true, false
}

// judge says what to do with the next message of this attachment. What isn't
// dropped counts as read from then on.
func (p *place) judge(id gateway.ID) verdict {
	first := p.first
	p.first = false
	if !p.behind {
		if p.read() && id.Offset <= p.last().Offset && p.has(id) {
			return isKnown
		}
		p.add(id)
		if p.skip > 0 {
			p.skip = 0
			return isSkipped
		}
		return isNext
	}
	if p.from == fromEnd {
		// If it reaches what is known, its silence was slowness; else it is
		// another stream.
		if p.from = fromLast; id.Offset < p.at(0).Offset {
			p.from = fromOldest
		}
		return isForeign
	}
	if p.has(id) {
		if id == p.last() {
			p.behind, p.from = false, fromLast
		}
		return isKnown
	}
	switch {
	case id.Offset > p.last().Offset:
		p.found(id)
		return isBehind
	case first && p.from == fromLast:
		p.from = fromKnown
		return isForeign
	case first && p.from == fromKnown:
		p.from = fromOldest
		return isForeign
	}
	p.found(id)
	return isOther
}

// maxStuck is how often to try. What came right before such a message may be
// dropped with the link, so that each attempt only gets so far.
const maxStuck = 8

// unreadable says that the link ended over a message that can't be read.
func (p *place) unreadable() {
	if p.moved {
		p.stuck = 0
		return
	}
	if p.stuck++; p.stuck >= maxStuck && p.read() {
		p.stuck, p.from = 0, fromLast
		p.skip++
	}
}

// hopeless says that not even the first message to be read can be.
func (p *place) hopeless() bool { return p.stuck >= maxStuck }

// silent says that nothing came though something should have: the stream may
// be shorter than what was read of it.
func (p *place) silent() {
	switch {
	case !p.first || !p.read():
	case p.from < fromEnd:
		p.from++
	case p.from == fromEnd:
		p.from = fromLast // not even its end comes: RabbitMQ is slow
	}
}

// found goes on from id, whatever was before.
func (p *place) found(id gateway.ID) {
	p.known, p.oldest = p.known[:0], 0
	p.behind, p.from = false, fromLast
	p.add(id)
}

func (p *place) add(id gateway.ID) {
	p.moved = true
	if p.read() && id.Offset <= p.last().Offset {
		p.known, p.oldest = p.known[:0], 0 // it is searched by offset
	}
	if len(p.known) < places {
		p.known = append(p.known, id)
		return
	}
	p.known[p.oldest] = id
	p.oldest = (p.oldest + 1) % places
}

func (p *place) has(id gateway.ID) bool {
	i := sort.Search(len(p.known), func(i int) bool { return p.at(i).Offset >= id.Offset })
	return i < len(p.known) && p.at(i) == id
}
