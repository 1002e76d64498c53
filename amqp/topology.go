package amqp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rabbitmq/amqp091-go"
)

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

// attach declares and consumes what this node reads.
func (f *feed) attach(l *link) error {
	o := &f.x.opts
	if err := o.declareExchange(l, f.ep); err != nil {
		return err
	}
	queue, err := f.declareQueue(l)
	if err != nil {
		return err
	}
	if o.Delivery == DeliverStream {
		f.direct = queue
		if err := f.direct.consume(true, nil); err != nil {
			return err
		}
		return f.attachStream(l)
	}
	f.main = queue
	if err := f.main.bind(o.Exchange); err != nil {
		return err
	}
	return f.main.consume(true, nil)
}

// declareQueue declares the node's own queue, which is also its address.
func (f *feed) declareQueue(l *link) (source, error) {
	s, err := openSource(l, f.ep, f.x.opts.Prefetch)
	if err != nil {
		return source{}, err
	}
	// The type is said because a vhost's default may be one that can't be
	// exclusive. RabbitMQ 4 refuses transient queues that aren't.
	q, err := s.ch.QueueDeclare("", false, true, true, false, amqp091.Table{
		amqp091.QueueTypeArg:        amqp091.QueueTypeClassic,
		amqp091.QueueMaxLenBytesArg: f.x.opts.MaxQueueBytes,
		amqp091.QueueOverflowArg:    amqp091.QueueOverflowDropHead,
	})
	if err != nil {
		return source{}, &linkError{"declaring the node's queue", f.ep, err}
	}
	s.name, s.what = q.Name, "the node's queue"
	return s, nil
}

// address is the name of the node's queue: who sends to that reaches this node.
func (f *feed) address() string {
	if f.marker != nil {
		return f.direct.name
	}
	return f.main.name
}

func hasCode(err error, code int) bool {
	ae := (*amqp091.Error)(nil)
	return errors.As(err, &ae) && ae.Code == code
}
