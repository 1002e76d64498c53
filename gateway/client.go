package gateway

import (
	"net/netip"

	"github.com/gobwas/ws"

	"warren/gateway/poll"
	"warren/gateway/utf8check"
)

// state is where a connection is in its life.
type state uint8

const (
	reading   state = iota // the request head
	open                   // a WebSocket
	closing                // its last bytes are queued; input is read until the peer's close
	lingering              // all is written and shut; input is discarded until its end
	gone                   // closed; nobody should hold it any more
)

// client is one connection. Only its shard touches it. It is small: an idle
// one owns neither a buffer nor a goroutine.
type client struct {
	id       ConnID
	fd       int32
	slot     uint32 // in shard.slots
	state    state
	enc      encoding
	deaf     bool          // input is discarded: it can't be trusted, or nothing may follow
	peerDone bool          // the peer's close frame came, or none is awaited
	peerCode ws.StatusCode // what it said
	ended    bool          // its FIN came, but it isn't done with
	pinged   bool          // a ping is unanswered
	preface  preface       // of its bytes, before the request head
	trusted  bool          // what it says of forwarding counts
	secure   bool          // it speaks TLS, as far as that is known
	watching poll.Interest // as the poller knows it

	// Of shard.now.
	since    uint32 // the state began
	heard    uint32 // bytes came
	pingedAt uint32

	from    netip.AddrPort // who it is, as far as proxies are believed
	channel string         // where a raw client publishes; empty is root

	seat seat     // of a client with one channel
	json *session // of a client of the JSON protocol, with its seats; else nil
	in   *inbound // nil between messages
	out  *debt    // nil while nothing is owed to it
	hold *hold    // nil while it may publish
}

// inbound is what came of a message, or of a request head, that isn't whole.
type inbound struct {
	index   int    // in shard.partials
	charged int64  // bytes counted in Gateway.inbound
	head    []byte // bytes of a request head, a frame header or a control frame

	// The data message under way: its payload so far, unmasked, and the frame
	// it is in.
	msg        []byte
	text       bool
	fragmented bool // more frames will come
	need       int64
	mask       [4]byte
	masked     int // payload bytes of this frame unmasked
	utf8       utf8check.Validator
}

// debt is what a client is owed that its socket did not take, or that it has
// asked for of the past, in this order: the tail; the rest of a frame that was
// begun; the pong; its private output; its logs in turn; the close frame.
type debt struct {
	tail    []byte // rest of frames that are no longer in a log, or never were
	pong    []byte // the latest only (RFC 6455, 5.5.3)
	private []byte // frames for this client alone
	last    []byte // the close frame, or an HTTP answer
	begun   *seat  // the log written last: in the middle of a frame, perhaps
	first   reader // of client.seat

	// Of a client that asked for what is past.
	resuming  bool  // it is served what others leave it
	starved   bool  // its socket had room, but it was not its turn
	rationed  bool  // it was starved in this window
	parked    bool  // it is ahead of the members of a channel: see shard.park
	allowance int64 // bytes that it may lag by beyond clients.max_lag

	lag      int64    // bytes, when last measured
	visited  uint32   // shard.lateVisit when it was measured for the tick
	stands   standing // how it is counted in crowd
	took     int64    // bytes since windowAt
	windowAt uint32   // shard.now
	tookAt   uint32   // shard.now of the last progress
}

// copied is the bytes of what is owed that are not in a log.
func (d *debt) copied() int64 { return int64(cap(d.tail) + cap(d.private)) }

// fd numbers fit 32 bits; the poller and unix want int.
func (c *client) sock() int { return int(c.fd) }

// talking says that its input is frames.
func (c *client) talking() bool { return c.state == open || c.state == closing }

// wsState is what ws.CheckHeader judges frames by.
func (c *client) wsState() ws.State {
	if c.in != nil && c.in.fragmented {
		return ws.StateServerSide | ws.StateFragmented
	}
	return ws.StateServerSide
}
