package amqp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rabbitmq/amqp091-go"
)

// consumerTag travels with every delivery: short.
const consumerTag = "w"

// declareExchange sees to it that the fanout exchange is there. It is
// declared passively first, which needs no permission, and created only if
// that finds none. Every refusal closes the channel it came on.
func (o *Options) declareExchange(l *link, ep endpoint) error {
	what := fmt.Sprintf("declaring exchange %q", o.Exchange)
	ch, err := l.Channel()
	if err != nil {
		return &linkError{what, ep, err}
	}
	defer ch.Close()
	if err := ch.ExchangeDeclarePassive(o.Exchange, amqp091.ExchangeFanout, true, false, false, false, nil); err == nil {
		return o.checkFanout(ch, ep)
	} else if !hasCode(err, amqp091.NotFound) {
		return &linkError{what, ep, err}
	}
	create, err := l.Channel()
	if err != nil {
		return &linkError{what, ep, err}
	}
	defer create.Close()
	if err := create.ExchangeDeclare(o.Exchange, amqp091.ExchangeFanout, true, false, false, false, nil); err != nil {
		return &linkError{what, ep, err}
	}
	return nil
}

// checkFanout refuses an exchange of another type: it would route by key and
// drop most messages. A passive declare doesn't look at the type; a plain one
// does, but also wants a permission and a durability that we don't insist on.
func (o *Options) checkFanout(ch *amqp091.Channel, ep endpoint) error {
	err := ch.ExchangeDeclare(o.Exchange, amqp091.ExchangeFanout, true, false, false, false, nil)
	switch {
	case err == nil, hasCode(err, amqp091.AccessRefused):
		return nil
	case !hasCode(err, amqp091.PreconditionFailed):
		return &linkError{fmt.Sprintf("checking exchange %q", o.Exchange), ep, err}
	case strings.Contains(err.Error(), "arg 'type'"):
		return &linkError{fmt.Sprintf("exchange %q must be a fanout exchange", o.Exchange), ep, err}
	}
	return nil
}

// attach declares the node's own queue, binds it and consumes from it.
func (f *feed) attach(l *link) error {
	o := &f.x.opts
	if err := o.declareExchange(l, f.ep); err != nil {
		return err
	}
	ch, err := l.Channel()
	if err != nil {
		return &linkError{"opening a channel", f.ep, err}
	}
	f.ch = ch
	f.closed = ch.NotifyClose(make(chan *amqp091.Error, 1))
	f.canceled = ch.NotifyCancel(make(chan string, 1))
	if err := ch.Qos(o.Prefetch, 0, false); err != nil {
		return &linkError{"setting the prefetch", f.ep, err}
	}
	// The type is said because a vhost's default may be one that can't be
	// exclusive. RabbitMQ 4 refuses transient queues that aren't.
	q, err := ch.QueueDeclare("", false, true, true, false, amqp091.Table{
		amqp091.QueueTypeArg:        amqp091.QueueTypeClassic,
		amqp091.QueueMaxLenBytesArg: o.MaxQueueBytes,
		amqp091.QueueOverflowArg:    amqp091.QueueOverflowDropHead,
	})
	if err != nil {
		return &linkError{"declaring the node's queue", f.ep, err}
	}
	f.queue = q.Name
	if err := f.bind(); err != nil {
		return err
	}
	if f.deliveries, err = ch.Consume(q.Name, consumerTag, false, true, false, false, nil); err != nil {
		return &linkError{"consuming from the node's queue", f.ep, err}
	}
	return nil
}

// bind binds the node's queue to the exchange. It is repeated for as long as
// the queue is attached: if someone deletes the exchange and another node makes
// it anew, nothing else would tell a node that the binding is gone.
func (f *feed) bind() error {
	exchange := f.x.opts.Exchange
	if err := f.ch.QueueBind(f.queue, "", exchange, false, nil); err != nil {
		return &linkError{fmt.Sprintf("binding the node's queue to exchange %q", exchange), f.ep, err}
	}
	return nil
}

func hasCode(err error, code int) bool {
	ae := (*amqp091.Error)(nil)
	return errors.As(err, &ae) && ae.Code == code
}
