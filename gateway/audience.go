package gateway

import (
	"sync/atomic"

	"warren/gateway/framelog"
)

// chunkBytes is the most of a log that is written to a client at once: what
// stays in a core's cache while all clients of a channel are written it. It is
// less where clients.max_lag is small: see Gateway.chunk.
const chunkBytes = 64 << 10

// audience is one channel's clients of one encoding on one shard.
//
// Members are caught up and share one cursor: a delivery is one write each and
// nothing else. Who didn't take all of a write is late, and has a cursor of its
// own until it reaches the members' again.
type audience struct {
	edition *edition // static
	shard   *shard   // static

	// Any goroutine.
	dirty    atomic.Bool  // the log has grown since the last sweep began
	offered  atomic.Int64 // position up to which members were written
	pressing atomic.Bool  // holds back the source: offered lags too far

	// Owned by the shard.
	cursor  framelog.Cursor // of members[swept:]; the others are behind chunk
	chunk   []byte          // what a sweep is writing; nil between sweeps
	swept   int             // members[:swept] were written chunk
	members []*seat
	late    []*seat
	parked  int // of late: their clients are parked

	index    int    // in shard.audiences
	queued   bool   // in shard.work
	checked  int64  // position at which lags were last checked
	visited  int64  // position at the last visit of the tick
	active   bool   // something was delivered of late
	lastData uint32 // shard.now of the last delivery
}

// place is the position a member at index i has been written up to.
func (a *audience) place(i int) framelog.Cursor {
	c := a.cursor
	if i < a.swept {
		c.Advance(len(a.chunk))
	}
	return c
}

// front is the place of members that were written the most: where late ones
// rejoin and new ones begin.
func (a *audience) front() framelog.Cursor {
	c := a.cursor
	c.Advance(len(a.chunk))
	return c
}

// join adds x, which is at the front.
func (a *audience) join(x *seat) {
	x.behind = nil
	x.index = int32(len(a.members))
	a.members = append(a.members, x)
	if a.chunk != nil {
		// The front is behind the chunk: among those that have it.
		a.swap(int(x.index), a.swept)
		a.swept++
	}
}

// part removes a member. Nobody else is skipped by a sweep under way.
func (a *audience) part(x *seat) {
	i := int(x.index)
	if i < a.swept {
		a.swept--
		a.swap(i, a.swept)
		i = a.swept
	}
	last := len(a.members) - 1
	a.swap(i, last)
	a.members[last] = nil
	a.members = a.members[:last]
}

func (a *audience) swap(i, j int) {
	m := a.members
	m[i], m[j] = m[j], m[i]
	m[i].index, m[j].index = int32(i), int32(j)
}

func (a *audience) addLate(x *seat) {
	x.index = int32(len(a.late))
	a.late = append(a.late, x)
	a.shard.latecomers[a] = struct{}{}
}

func (a *audience) removeLate(x *seat) {
	if x.client.out.parked {
		a.parked--
	}
	last := len(a.late) - 1
	a.late[x.index] = a.late[last]
	a.late[x.index].index = x.index
	a.late[last] = nil
	a.late = a.late[:last]
	if last == 0 {
		delete(a.shard.latecomers, a)
	}
}

func (a *audience) size() int { return len(a.members) + len(a.late) }
