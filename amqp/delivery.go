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

// Headers of what Warren publishes for a client.
const (
	headerUser     = "x-warren-user"      // who it is, by its token
	headerClientID = "x-warren-client-id" // the message's id by the client, which may repeat it
)

// deliver hands d to the gateway, unless it is to be dropped.
func (f *feed) deliver(d *amqp091.Delivery, id gateway.ID) {
	n := &f.x.counters
	if d.Exchange == "" {
		f.strange(d)
		return
	}
	n.received.Add(1)
	if !f.isNew(d) {
		n.duplicates.Add(1)
		if !id.IsZero() {
			f.to.Deliver(gateway.Message{ID: id, Blank: true})
		}
		return
	}
	n.delivered.Add(1)
	m := gateway.Message{Channel: d.RoutingKey, Payload: d.Body, Text: isText(d.ContentType, d.Body), ID: id}
	if !f.caught {
		m.At = d.Timestamp // it may be old
	}
	f.to.Deliver(m)
}

// strange drops what did not come through the exchange.
func (c *consumer) strange(d *amqp091.Delivery) {
	c.x.counters.received.Add(1)
	c.x.counters.direct.Add(1)
	if !c.warned {
		c.warned = true
		c.x.opts.Logger.Warn("messages sent straight to a queue or stream, not to the exchange, are dropped",
			"queue", d.RoutingKey, "app", d.AppId)
	}
}

func (c *consumer) isNew(d *amqp091.Delivery) bool {
	isNew := c.dups.isNew(d.AppId, d.MessageId, time.Now)
	if isNew && d.AppId == appID && d.Headers != nil {
		isNew = c.isNewByClient(d)
	}
	c.x.counters.holes.Store(c.dups.holes)
	c.x.counters.filled.Store(c.dups.filled)
	c.x.counters.forgotten.Store(c.dups.early)
	return isNew
}

// isNewByClient judges a client's own id within its user, or else within its
// connection: one client can't silence another's messages.
func (c *consumer) isNewByClient(d *amqp091.Delivery) bool {
	id, _ := d.Headers[headerClientID].(string)
	if id == "" {
		return true
	}
	scope, _ := d.Headers[headerUser].(string)
	if scope == "" {
		publisher, _, _ := parseID(d.MessageId)
		scope = publisher + "#" + d.CorrelationId
	} else {
		scope = "user " + scope
	}
	return c.dups.isNewForeign(foreignID{scope, id}, time.Now())
}

// isText says whether a message goes out as a text frame, which must be
// valid UTF-8 (RFC 6455, 5.6).
func isText(contentType string, body []byte) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	text := kind == "" || len(kind) > 5 && strings.EqualFold(kind[:5], "text/") || strings.EqualFold(kind, "application/json")
	return text && utf8.Valid(body)
}
