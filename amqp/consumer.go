package amqp

import (
	"context"
	"time"

	"warren/gateway"
)

// consumer keeps the node's queue attached and delivers from it. Owned by the
// goroutine of Exchange.Run, which is also the one that calls Deliver.
type consumer struct {
	x     *Exchange
	to    gateway.Receiver
	retry *retry
	pub   *publisher
	dups  *duplicates

	place        place
	markers      int       // made so far
	missingSince time.Time // the stream; zero while it is there
	otherArgs    string    // of the stream, already logged
	readyAt      time.Time // when the attachment began on which it first caught up

	lostAt   time.Time     // when the attachment was lost; zero while caught up and before the first time
	reported uint64        // lost messages already logged
	strays   uint64        // of duplicates.strays, already announced
	paused   time.Duration // of holds, already logged
	warned   bool          // of strange messages
}

func newConsumer(x *Exchange, to gateway.Receiver) *consumer {
	return &consumer{
		x: x, to: to,
		retry: newRetry(x.opts.ReconnectMin, x.opts.ReconnectMax),
		pub:   &publisher{x: x, ready: to.Ready, retry: newRetry(x.opts.ReconnectMin, x.opts.ReconnectMax)},
		dups:  newDuplicates(x.opts.WindowMessages, x.publisher, x.opts.ForeignIDs, x.opts.ForeignAge),
	}
}

// run attaches, again and again over all URLs, until ctx ends.
func (c *consumer) run(ctx context.Context) {
	x := c.x
	for i := 0; ctx.Err() == nil; i = (i + 1) % len(x.endpoints) {
		ep := x.endpoints[i]
		x.status.trying(&x.status.consume, "connecting to "+ep.name)
		x.counters.attaching.Add(1)
		before := c.lostAt
		up, err := c.attachment(ctx, ep)
		if ctx.Err() != nil {
			return
		}
		wait, operator := c.retry.after(err, up)
		if isUnreadable(err) && x.opts.Delivery == DeliverStream {
			c.place.unreadable() // it stays in the stream
			wait = min(wait, x.opts.ReconnectMin)
		}
		if operator && i < len(x.endpoints)-1 {
			wait = min(wait, x.opts.ReconnectMin) // another URL may do
		}
		x.status.failed(&x.status.consume, err, time.Now().Add(wait))
		if c.retry.isNews(ep, err) {
			what := "can't attach to RabbitMQ"
			if c.lostAt != before {
				what = "lost the link to RabbitMQ"
			}
			x.opts.Logger.Warn(what, "url", ep.name, "error", err, "retry", operatorRetry(wait, operator))
		}
		sleep(ctx, wait)
	}
}

// attachment is one life of the node's queue, and of the publisher with it.
// It returns for how long the queue was attached, and why that ended.
func (c *consumer) attachment(ctx context.Context, ep endpoint) (up time.Duration, err error) {
	x := c.x
	l, err := x.opts.dial(ctx, ep, "consume")
	if err != nil {
		return 0, err
	}
	defer func() {
		if ctx.Err() != nil {
			l.close()
		} else {
			l.cut()
		}
	}()
	now := time.Now()
	f := &feed{consumer: c, ep: ep, link: l, marker: c.newMarker(), began: now, lastRead: now}
	if err := l.setUp(ep, func() error { return f.attach(l) }); err != nil {
		return 0, err
	}
	c.attached(f, l)

	pubCtx, detach := context.WithCancelCause(ctx)
	published := make(chan struct{})
	c.pub.marker, c.pub.replyTo = f.marker, f.address()
	go func() {
		defer close(published)
		c.pub.run(pubCtx, ep, detach)
	}()
	err = f.run(pubCtx)
	c.reportLosses() // not only at the next attachment's first look
	if f.caught {
		c.lostAt = l.sock.lastHeard()
	}
	x.status.failed(&x.status.consume, err, time.Now())
	detach(err)
	<-published
	if ctx.Err() != nil && f.marker == nil {
		f.main.unbind(x.opts.Exchange)
	}
	return time.Since(f.began), err
}

// attached says so. In queue delivery that ends the gap, if there was one.
func (c *consumer) attached(f *feed, l *link) {
	x := c.x
	c.retry.linked()
	version, _ := l.Properties["version"].(string)
	attrs := []any{"url", f.ep.name, "version", version, "exchange", x.opts.Exchange}
	if f.marker != nil {
		x.status.set(&x.status.consume, side{doing: "reading " + f.main.what + " up to its end"})
		x.opts.Logger.Info("attached to RabbitMQ", append(attrs, "stream", f.main.name, "queue", f.direct.name)...)
		return
	}
	x.status.set(&x.status.consume, side{up: true})
	x.opts.Logger.Info("attached to RabbitMQ", append(attrs, "queue", f.main.name)...)
	if !c.lostAt.IsZero() {
		c.gap(gateway.Gap{Reason: "the node's queue was away", Lasted: c.away()})
		c.lostAt = time.Time{}
	}
}

// reportLosses logs what was noticed since the last time, in one line each.
func (c *consumer) reportLosses() {
	s, log := c.x.Stats().Consume, c.x.opts.Logger
	if lost := s.Lost(); lost > c.reported {
		strays := min(lost-c.reported, c.dups.strays-c.strays)
		if strays > 0 {
			c.gap(gateway.Gap{Reason: c.strayReason(), Lost: strays, Known: true})
		}
		if n := lost - c.reported - strays; n > 0 {
			log.Warn("messages were lost to this node's clients in the last gap: seen by holes in the publishers' numbering", "count", n)
		}
		c.reported, c.strays = lost, c.dups.strays
	}
	if s.HoldTime-c.paused > time.Second {
		log.Info("deliveries paused for clients to catch up", "paused", (s.HoldTime - c.paused).Round(time.Millisecond))
		c.paused = s.HoldTime
	}
}

// strayReason is what holes may come of that are no gap's.
func (c *consumer) strayReason() string {
	if c.x.opts.Delivery == DeliverStream {
		return "messages of nodes are missing from the stream: RabbitMQ refused them for their size, or lost them"
	}
	return "RabbitMQ dropped messages: the node's queue was full (amqp.queue_bytes), or it refused them for their size"
}
