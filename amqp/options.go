// Package amqp carries messages between nodes through RabbitMQ: it
// implements gateway.Exchange over AMQP 0-9-1 and knows nothing of WebSocket.
package amqp

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Options configures an Exchange. Sizes are bytes; every zero stands for the
// default named beside it.
type Options struct {
	// URLs of RabbitMQ's nodes, as amqp[s]://user:password@host:port/vhost,
	// tried in turn. At least one.
	URLs []string

	Exchange string // the fanout exchange all nodes publish to; "warren"
	Node     string // this node's name in message ids, at most 100 bytes; the host's name

	// Delivery is how messages come to this node; DeliverQueue.
	Delivery Delivery
	Stream   StreamOptions // for DeliverStream

	// Of programs that aren't Warren, and of what clients name themselves, at
	// most so many message ids are remembered, to recognise duplicates by,
	// each for at least so long, if not half of the number is used up before;
	// 65536, 2 min.
	ForeignIDs int
	ForeignAge time.Duration

	Prefetch      int   // deliveries that RabbitMQ sends ahead of acks; 1000
	MaxQueueBytes int64 // of the node's queue, the oldest are dropped beyond; 256 MiB

	WindowMessages int // waiting and unconfirmed, then Publish says ErrBusy; 4096
	WindowBytes    int // the same in bytes; 16 MiB

	ConfirmTimeout time.Duration // without a confirm before the link is given up; 10 s
	Heartbeat      time.Duration // at least 1 s; 5 s
	ReconnectMin   time.Duration // bound of the first random wait; it doubles; 200 ms
	ReconnectMax   time.Duration // bound of the longest; also the wait when an operator must act; 15 s

	TLS TLS // for amqps URLs

	// Logger; one that discards.
	Logger *slog.Logger
}

// Delivery is a way that messages come from the exchange to a node.
type Delivery int

const (
	// DeliverQueue is an exclusive queue a node, bound to the exchange.
	DeliverQueue Delivery = iota
	// DeliverStream is one durable stream bound to the exchange, which every
	// node reads from the place it has reached.
	DeliverStream
)

// StreamOptions is about the stream that all nodes read. What concerns its
// making counts for the node that makes it.
type StreamOptions struct {
	Name     string        // "warren.stream"
	MaxBytes int64         // retention; 1 GiB
	MaxAge   time.Duration // retention, a lower bound; 1 h
	Replicas int           // nodes of the cluster that keep it; RabbitMQ's choice

	// Replay is how far back a starting node reads before it says ready; 0:
	// it begins with what comes next.
	Replay time.Duration
}

// TLS says how amqps servers are verified and what they are shown. Files are
// PEM, read again for every connection, so that they can be renewed.
type TLS struct {
	CAFile     string // who signs the servers' certificates; the system's
	CertFile   string // client certificate, with KeyFile; none
	KeyFile    string
	ServerName string // expected in the server's certificate; the URL's host
}

// The AMQP fields that carry these are short strings and 16-bit numbers.
const (
	maxNodeName   = 100
	maxRoutingKey = 255
	maxPrefetch   = 65535
)

// withDefaults fills the zeros in and refuses what can't work.
func (o Options) withDefaults() (Options, error) {
	if o.Node == "" {
		o.Node, _ = os.Hostname()
		o.Node = o.Node[:min(len(o.Node), maxNodeName)]
	}
	setDefault(&o.Node, "node")
	setDefault(&o.Exchange, "warren")
	setDefault(&o.Prefetch, 1000)
	setDefault(&o.MaxQueueBytes, 256<<20)
	setDefault(&o.WindowMessages, 4096)
	setDefault(&o.WindowBytes, 16<<20)
	setDefault(&o.ConfirmTimeout, 10*time.Second)
	setDefault(&o.Heartbeat, 5*time.Second)
	setDefault(&o.ReconnectMin, 200*time.Millisecond)
	setDefault(&o.ReconnectMax, 15*time.Second)
	setDefault(&o.ForeignIDs, 65536)
	setDefault(&o.ForeignAge, 2*time.Minute)
	setDefault(&o.Stream.Name, "warren.stream")
	setDefault(&o.Stream.MaxBytes, 1<<30)
	setDefault(&o.Stream.MaxAge, time.Hour)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case len(o.URLs) == 0:
		return o, errors.New("no AMQP URL: give at least one, as amqp://user:password@host:5672/vhost")
	case len(o.Node) > maxNodeName:
		return o, fmt.Errorf("node name %q: %d bytes, must be at most %d", o.Node, len(o.Node), maxNodeName)
	case len(o.Exchange) > maxRoutingKey:
		return o, fmt.Errorf("exchange name %q: %d bytes, must be at most %d", o.Exchange, len(o.Exchange), maxRoutingKey)
	case o.Prefetch < 0 || o.Prefetch > maxPrefetch:
		return o, fmt.Errorf("prefetch %d: must be 1 to %d", o.Prefetch, maxPrefetch)
	case o.MaxQueueBytes < 0 || o.WindowMessages < 0 || o.WindowBytes < 0:
		return o, fmt.Errorf("negative size: queue %d, window %d messages and %d bytes",
			o.MaxQueueBytes, o.WindowMessages, o.WindowBytes)
	case o.Delivery != DeliverQueue && o.Delivery != DeliverStream:
		return o, fmt.Errorf("delivery %d: must be DeliverQueue or DeliverStream", o.Delivery)
	case len(o.Stream.Name) > maxRoutingKey:
		return o, fmt.Errorf("stream name %q: %d bytes, must be at most %d", o.Stream.Name, len(o.Stream.Name), maxRoutingKey)
	case o.Stream.MaxBytes < 0 || o.Stream.MaxAge < time.Second || o.Stream.Replicas < 0 || o.Stream.Replay < 0:
		return o, fmt.Errorf("stream of %d bytes, %v, %d replicas, replay of %v: must be positive, the age at least 1s",
			o.Stream.MaxBytes, o.Stream.MaxAge, o.Stream.Replicas, o.Stream.Replay)
	case o.ForeignIDs < 0 || o.ForeignAge < 0:
		return o, fmt.Errorf("foreign ids: %d for %v: must be positive", o.ForeignIDs, o.ForeignAge)
	case o.Heartbeat < time.Second:
		// The library would silently take the server's (60 s) instead.
		return o, fmt.Errorf("heartbeat %v: must be at least 1s", o.Heartbeat)
	case o.ConfirmTimeout < 0 || o.ReconnectMin < 0 || o.ReconnectMax < o.ReconnectMin:
		return o, fmt.Errorf("confirm timeout %v, reconnect %v to %v: must be positive, the last not below the first",
			o.ConfirmTimeout, o.ReconnectMin, o.ReconnectMax)
	}
	_, err := o.TLS.config()
	return o, err
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
