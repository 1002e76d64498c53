package amqp

import (
	"errors"
	"fmt"

	"github.com/rabbitmq/amqp091-go"
)

// source is what is consumed over one channel: a queue or the stream. The zero
// value never gives anything.
type source struct {
	name       string
	what       string // for errors: "the node's queue"
	ep         endpoint
	ch         *amqp091.Channel
	deliveries <-chan amqp091.Delivery
	closed     <-chan *amqp091.Error
	canceled   <-chan string

	tag     uint64 // of the last delivery
	unacked int
}

// openSource makes the channel.
func openSource(l *link, ep endpoint, prefetch int) (source, error) {
	ch, err := l.Channel()
	if err != nil {
		return source{}, &linkError{"opening a channel", ep, err}
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return source{}, &linkError{"setting the prefetch", ep, err}
	}
	return source{
		ep:       ep,
		ch:       ch,
		closed:   ch.NotifyClose(make(chan *amqp091.Error, 1)),
		canceled: ch.NotifyCancel(make(chan string, 1)),
	}, nil
}

// consumerTag travels with every delivery: short.
const consumerTag = "w"

func (s *source) consume(exclusive bool, args amqp091.Table) (err error) {
	if s.deliveries, err = s.ch.Consume(s.name, consumerTag, false, exclusive, false, false, args); err != nil {
		return &linkError{"consuming from " + s.what, s.ep, err}
	}
	return nil
}

// bind binds it to the exchange. It is repeated for as long as it is attached:
// if someone deletes the exchange and another node makes it anew, nothing else
// would tell a node that the binding is gone.
func (s *source) bind(exchange string) error {
	if err := s.ch.QueueBind(s.name, "", exchange, false, nil); err != nil {
		return &linkError{fmt.Sprintf("binding %s to exchange %q", s.what, exchange), s.ep, err}
	}
	return nil
}

// unbind undoes bind, before the queue goes with its link: RabbitMQ (4.3 does) may
// refuse other nodes' messages that are on their way to a queue that vanishes, and
// what they send again is there twice for programs with queues of their own.
func (s *source) unbind(exchange string) {
	_ = s.ch.QueueUnbind(s.name, "", exchange, nil) // the link ends all the same
}

// isDirect says that d was sent straight to this queue.
func (s *source) isDirect(d *amqp091.Delivery) bool {
	return d.Exchange == "" && d.RoutingKey == s.name
}

// took notes a delivery, to be acknowledged.
func (s *source) took(d *amqp091.Delivery) {
	s.tag = d.DeliveryTag
	s.unacked++
}

// ack acknowledges all it took.
func (s *source) ack() error {
	if s.unacked == 0 {
		return nil
	}
	s.unacked = 0
	if err := s.ch.Ack(s.tag, true); err != nil {
		return &linkError{"acknowledging", s.ep, err}
	}
	return nil
}

var errCanceled = errors.New("RabbitMQ canceled the consumer")

// ended says why the deliveries ended: one of these two came before.
func (s *source) ended() error {
	if _, ok := <-s.canceled; ok {
		return s.gone()
	}
	return s.closedBy(<-s.closed)
}

func (s *source) gone() error { return fmt.Errorf("%w: %s is gone", errCanceled, s.what) }

func (s *source) closedBy(e *amqp091.Error) error {
	if e == nil {
		e = amqp091.ErrClosed
	}
	return &linkError{"", s.ep, e}
}
