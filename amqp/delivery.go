package amqp

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rabbitmq/amqp091-go"

	"warren/gateway"
)

// Content types of what Warren publishes.
const (
	contentText   = "text/plain; charset=utf-8"
	contentBinary = "application/octet-stream"
)

// deliver hands d to the gateway, unless it is to be dropped.
func (c *consumer) deliver(d *amqp091.Delivery) {
	n := &c.x.counters
	n.received.Add(1)
	switch {
	case d.Exchange == "":
		n.direct.Add(1)
		if !c.warned {
			c.warned = true
			c.x.opts.Logger.Warn("messages sent straight to this node's queue are dropped", "app", d.AppId)
		}
		return
	case !c.isNew(d):
		n.duplicates.Add(1)
		return
	case c.x.opts.MaxDeliverSize > 0 && len(d.Body) > c.x.opts.MaxDeliverSize:
		n.oversize.Add(1)
		return
	}
	n.delivered.Add(1)
	c.to.Deliver(gateway.Message{Channel: d.RoutingKey, Payload: d.Body, Text: isText(d.ContentType, d.Body)})
}

func (c *consumer) isNew(d *amqp091.Delivery) bool {
	isNew := c.dups.isNew(d.AppId, d.MessageId, time.Now)
	c.x.counters.holes.Store(c.dups.holes)
	c.x.counters.filled.Store(c.dups.filled)
	return isNew
}

// isText says whether a message goes out as a text frame, which must be
// valid UTF-8 (RFC 6455, 5.6).
func isText(contentType string, body []byte) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	text := kind == "" || len(kind) > 5 && strings.EqualFold(kind[:5], "text/") || strings.EqualFold(kind, "application/json")
	return text && utf8.Valid(body)
}
