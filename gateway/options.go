package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"warren/gateway/request"
)

// Options configures a Gateway. Sizes are bytes; every zero stands for the
// default named beside it.
type Options struct {
	WebSocket WebSocketOptions
	Clients   ClientOptions
	Memory    MemoryOptions
	History   HistoryOptions
	Proxy     ProxyOptions
	Drain     DrainOptions

	// AwaitExchange refuses WebSockets until the exchange was linked for the
	// first time: what it replays at its start into the histories is no news
	// to anybody.
	AwaitExchange bool

	// Node is the node's name, as clients of the JSON protocol learn it.
	Node string

	// Shards is the number of event loops; runtime.NumCPU().
	Shards int

	// Page answers plain requests for "/" and for WebSocket.Path; a 404.
	Page http.Handler

	// Script answers plain requests for "/warren.js"; a 404.
	Script http.Handler

	// Logger; one that discards.
	Logger *slog.Logger
}

// WebSocketOptions is what clients may ask for and send.
type WebSocketOptions struct {
	Path             string        // of root; channels lie below it; "/ws"
	ReadOnly         bool          // refuse what clients send (1008, or an error in JSON)
	MaxMessageSize   int           // from a client, fragments joined; 64 KiB
	MaxDeliverSize   int           // to clients; a quarter of Clients.MaxLag
	HandshakeTimeout time.Duration // from accept to a whole head; 5 s
	PingInterval     time.Duration // of silence before a ping; 25 s
	PongTimeout      time.Duration // of silence after a ping; 10 s

	// Origins that may connect besides the page's own host, as
	// "scheme://host[:port]"; "*" allows all. Requests without an Origin
	// don't come from a page and are allowed (RFC 6455, 10.2).
	Origins []string
}

// SlowPolicy says what happens to a client whose lag passes MaxLag.
type SlowPolicy int

const (
	SlowClose SlowPolicy = iota // close it with 1013
	SlowSkip                    // move its cursor to the end of its log
)

// GapPolicy says what happens to clients when messages are missing from the
// exchange.
type GapPolicy int

const (
	GapIgnore GapPolicy = iota // nothing but to tell those that can be told
	GapClose                   // close them with 1012, so that they come back and fetch anew
)

// ClientOptions bounds the clients.
type ClientOptions struct {
	Max           int           // on the node; what the descriptors allow
	MaxPerIP      int           // of these from one address, of IPv6 from one /64; any number
	HandshakeRate int           // new clients a second, and as many at once; any number
	Capacity      int           // at which load balancers are told that the node is full; Max
	MaxLag        int           // bytes a client may be behind; 1 MiB
	Slow          SlowPolicy    // what happens then
	OnGap         GapPolicy     // what happens to all when messages are lost
	CloseTimeout  time.Duration // from the close frame to a reset; 5 s
	MaxChannels   int           // subscriptions of one client of the JSON protocol; 128
}

// ProxyOptions says whose word counts about who a client is.
type ProxyOptions struct {
	// Protocol says that connections from trusted addresses begin with a PROXY
	// protocol header, version 1 or 2; they are refused without.
	Protocol bool

	// Trusted are addresses and prefixes of proxies, as "10.1.2.3" or
	// "10.0.0.0/8"; nobody.
	Trusted []string
}

// DrainOptions is how Serve ends, and Drain empties the node.
type DrainOptions struct {
	Delay   time.Duration // unready, but still taking clients; none
	Period  time.Duration // in which clients are then closed, evenly; all at once
	Timeout time.Duration // for all of a stop; as long as its parts may take
}

// HistoryOptions is what a channel keeps for clients that ask for it: each
// bound counts by itself. Beyond memory.logs, the oldest go.
type HistoryOptions struct {
	Messages int           // at most 1<<20; 0: no history
	Bytes    int64         // of frames, at most Memory.Logs; 8 MiB
	Age      time.Duration // at most 7 days; 5 min
}

const (
	maxHistory    = 1 << 20
	maxHistoryAge = 7 * 24 * time.Hour // milliseconds must fit 31 bits, with room
)

// MemoryOptions bounds the sums over all clients and channels of a node.
type MemoryOptions struct {
	Logs    int64 // histories, and what laggards keep alive beyond them; 256 MiB
	Inbound int64 // incomplete and held messages; 64 MiB
}

// withDefaults fills the zeros in and refuses what can't work.
func (o Options) withDefaults() (Options, error) {
	ws, cl, mem, hist := &o.WebSocket, &o.Clients, &o.Memory, &o.History
	setDefault(&ws.Path, "/ws")
	setDefault(&ws.MaxMessageSize, 64<<10)
	setDefault(&ws.HandshakeTimeout, 5*time.Second)
	setDefault(&ws.PingInterval, 25*time.Second)
	setDefault(&ws.PongTimeout, 10*time.Second)
	setDefault(&cl.MaxLag, 1<<20)
	setDefault(&cl.CloseTimeout, 5*time.Second)
	setDefault(&cl.MaxChannels, 128)
	setDefault(&mem.Logs, 256<<20)
	setDefault(&mem.Inbound, 64<<20)
	setDefault(&hist.Bytes, 8<<20)
	setDefault(&hist.Age, 5*time.Minute)
	setDefault(&ws.MaxDeliverSize, cl.MaxLag/4)
	setDefault(&o.Shards, runtime.NumCPU())
	if o.Page == nil {
		o.Page = http.NotFoundHandler()
	}
	if o.Script == nil {
		o.Script = http.NotFoundHandler()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case ws.Path[0] != '/' || !request.ValidChannel(ws.Path[1:]):
		return o, fmt.Errorf("websocket path %q: must be / and what a channel may be named, without / at its end", ws.Path)
	case ws.Path == pathHealth || ws.Path == pathReady || ws.Path == pathScript || ws.Path == pathEvents:
		return o, fmt.Errorf("websocket path %q: is taken", ws.Path)
	case ws.MaxMessageSize < 0 || cl.MaxLag < 0 || cl.Max < 0 || o.Shards < 0:
		return o, fmt.Errorf("negative size or count in %+v", o)
	case ws.MaxDeliverSize > cl.MaxLag/4:
		// One message may not make a client slow.
		return o, fmt.Errorf("max deliver size %d: must be at most a quarter of max lag %d", ws.MaxDeliverSize, cl.MaxLag)
	case hist.Messages < 0 || hist.Messages > maxHistory:
		return o, fmt.Errorf("history of %d messages: must be 0 to %d", hist.Messages, maxHistory)
	case hist.Bytes < 0 || hist.Messages > 0 && hist.Bytes > mem.Logs:
		return o, fmt.Errorf("history of %d bytes: must be 0 for the default, or up to memory logs, %d", hist.Bytes, mem.Logs)
	case hist.Age < 0 || hist.Age > maxHistoryAge:
		return o, fmt.Errorf("history of %v: must be 0 for the default, or up to %v", hist.Age, maxHistoryAge)
	}
	return o, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
