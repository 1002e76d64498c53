package amqp

import (
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
	headerSession  = "x-warren-session"   // a secret of its own
	headerClientID = "x-warren-client-id" // the message's id by the client, which may repeat it
)

// deliver hands d, which came through the exchange, to the gateway, unless it
// is to be dropped.
func (f *feed) deliver(d *amqp091.Delivery, id gateway.ID) {
	n := &f.x.counters
	n.received.Add(1)
	mid, isNew := f.isNew(d)
	if !isNew {
		n.duplicates.Add(1)
		if !id.IsZero() {
			f.to.Deliver(gateway.Message{ID: id, Blank: true})
		}
		return
	}
	n.delivered.Add(1)
	f.to.Deliver(gateway.Message{
		Channel: d.RoutingKey, Payload: d.Body, Text: isText(d.ContentType, d.Body), MessageID: mid, ID: id,
		At: d.Timestamp, Replayed: !f.caught,
	})
}

// deliverDirect hands d, which was sent straight to the node's queue, to the
// one client it is for. Its message id is no reason to drop it, nor counted: an
// answer may have that of the message it answers.
func (f *feed) deliverDirect(d *amqp091.Delivery) {
	client := parseClient(d.CorrelationId)
	if client == 0 {
		f.strange(d)
		return
	}
	f.x.counters.received.Add(1)
	f.x.counters.direct.Add(1)
	f.to.Deliver(gateway.Message{
		Client: client, Payload: d.Body, Text: isText(d.ContentType, d.Body),
		MessageID: gateway.MessageID{Publisher: d.MessageId}, At: d.Timestamp,
	})
}

// strange drops what is neither from the exchange nor for one client.
func (c *consumer) strange(d *amqp091.Delivery) {
	c.x.counters.received.Add(1)
	c.x.counters.strange.Add(1)
	if !c.warned {
		c.warned = true
		c.x.opts.Logger.Warn("messages sent straight to the stream, or to a node's queue without a connection's id as correlation_id, are dropped",
			"queue", d.RoutingKey, "app", d.AppId)
	}
}

// isNew reports d's message id, too.
func (c *consumer) isNew(d *amqp091.Delivery) (id gateway.MessageID, isNew bool) {
	id, isNew = c.dups.isNew(d.AppId, d.MessageId, time.Now)
	if isNew && d.AppId == appID && d.Headers != nil {
		isNew = c.isNewByClient(d, id)
	}
	c.x.counters.holes.Store(c.dups.holes)
	c.x.counters.filled.Store(c.dups.filled)
	c.x.counters.forgotten.Store(c.dups.early)
	return id, isNew
}

// isNewByClient judges a client's own id within its user, or else its session,
// or else its connection: one client can't silence another's messages.
func (c *consumer) isNewByClient(d *amqp091.Delivery, id gateway.MessageID) bool {
	own, _ := d.Headers[headerClientID].(string)
	if own == "" {
		return true
	}
	user, _ := d.Headers[headerUser].(string)
	session, _ := d.Headers[headerSession].(string)
	named := foreignID{id: own}
	switch {
	case user != "":
		named.app = "user " + user
	case session != "":
		named.app = "session " + session
	default:
		named.app = id.Publisher + "#" + d.CorrelationId
	}
	return c.dups.isNewForeign(named, time.Now())
}

// isText says whether a message goes out as a text frame, which must be
// valid UTF-8 (RFC 6455, 5.6).
func isText(contentType string, body []byte) bool {
	return gateway.IsTextType(contentType) && utf8.Valid(body)
}
