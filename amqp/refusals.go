package amqp

import (
	"fmt"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/gateway"
)

// block notes that RabbitMQ's memory or disk alarm stops publishers, or that
// it ended. Meanwhile nothing is sent; RabbitMQ would not read it.
func (s *session) block(b amqp091.Blocking) {
	s.blocked = b.Active
	s.p.x.counters.blocked.Store(b.Active)
	s.progress = time.Now()
	switch {
	case !b.Active:
		s.p.alarmEnded()
	case !s.p.alarm:
		s.p.alarm = true
		s.p.x.opts.Logger.Warn("RabbitMQ blocks publishers: what clients send waits", "url", s.ep.name, "reason", b.Reason)
	}
}

// alarmEnded is called for every sign of it. A link that fails while blocked
// learns of the end only by a confirm on the next.
func (p *publisher) alarmEnded() {
	if p.alarm {
		p.alarm = false
		p.x.opts.Logger.Info("RabbitMQ takes messages again")
	}
}

// returned ends the session: the message stays unconfirmed, though a confirm
// of it follows.
func (s *session) returned() error {
	s.p.x.counters.returned.Add(1)
	return errUnrouted
}

// closed says why RabbitMQ, or the loss of the connection, closed the channel.
func (s *session) closed(e *amqp091.Error) error {
	if e == nil {
		e = amqp091.ErrClosed
	}
	switch {
	case e.Server && e.Code == amqp091.NotFound:
		return fmt.Errorf("%w: exchange %q is gone", errUnrouted, s.p.x.opts.Exchange)
	case e.Server && e.Code == amqp091.PreconditionFailed && s.sent == 1:
		s.p.reject(e)
	case e.Server && e.Code == amqp091.PreconditionFailed:
		s.p.suspects = s.sent
	}
	return &linkError{"", s.ep, e}
}

// reject gives up the oldest message: RabbitMQ refuses it for what it is, its
// size most likely, and would close the channel over it for ever.
func (p *publisher) reject(e *amqp091.Error) {
	p.x.counters.rejected.Add(1)
	p.x.opts.Logger.Error("RabbitMQ refuses a message; it is dropped", "reason", e.Reason)
	p.suspects = 0
	p.drop(1, fmt.Errorf("RabbitMQ will not take the message: %s", e.Reason))
}

// drop takes the oldest n messages off the window: they are confirmed or, with
// an error, given up. Whoever asked is told.
func (p *publisher) drop(n int, err error) {
	through, room := p.x.window.pop(n, p.through[:0])
	for _, s := range through {
		s.tell(gateway.MessageID{Publisher: p.x.publisher, Seq: s.seq}, err)
	}
	clear(through) // what asks belongs to others
	p.through = through
	if room {
		p.ready()
	}
}
