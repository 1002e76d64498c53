package amqp

import (
	"strconv"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// markerType is the type of markers, which nodes publish straight to the
// stream: who reads its own marker has read all that was there before. Counts
// and timestamps of RabbitMQ lag.
const markerType = "warren.marker"

// marker is that of one attachment. Nil if there is no stream.
type marker struct {
	id        string
	stream    string
	confirmed chan struct{} // closed by the publisher
}

func (c *consumer) newMarker() *marker {
	if c.x.opts.Delivery != DeliverStream {
		return nil
	}
	c.markers++
	return &marker{
		id:        c.x.publisher + "-m" + strconv.Itoa(c.markers),
		stream:    c.x.opts.Stream.Name,
		confirmed: make(chan struct{}),
	}
}

// wanted says that it was not confirmed yet.
func (m *marker) wanted() bool {
	if m == nil {
		return false
	}
	select {
	case <-m.confirmed:
		return false
	default:
		return true
	}
}

// mark publishes the marker, on a channel of its own: RabbitMQ before 4.0 loses
// confirms of a stream on a channel that publishes elsewhere, too. Until it is
// confirmed nothing else is sent.
func (s *session) mark(l *link) error {
	if !s.p.marker.wanted() {
		return nil
	}
	ch, err := l.Channel()
	if err != nil {
		return &linkError{"opening a channel", s.ep, err}
	}
	s.marks = ch.NotifyPublish(make(chan amqp091.Confirmation, notices))
	s.markReturns = ch.NotifyReturn(make(chan amqp091.Return, notices))
	s.markCloses = ch.NotifyClose(make(chan *amqp091.Error, 1))
	if err := ch.Confirm(false); err != nil {
		return &linkError{"asking for confirms", s.ep, err}
	}
	err = ch.Publish("", s.p.marker.stream, true, false, amqp091.Publishing{
		MessageId: s.p.marker.id, AppId: appID, Type: markerType, DeliveryMode: amqp091.Persistent, Timestamp: time.Now(),
	})
	if err != nil {
		return &linkError{"publishing to the stream", s.ep, err}
	}
	s.progress = time.Now()
	return nil
}

// marking says that the marker is on its way.
func (s *session) marking() bool { return s.marks != nil }

// marked ends the wait for the marker's confirm. The channel stays: to close
// it would be to wait for an answer.
func (s *session) marked(c amqp091.Confirmation, ok bool) error {
	switch {
	case !ok:
		return s.markClosed(<-s.markCloses)
	case len(s.markReturns) > 0:
		return errUnrouted
	case !c.Ack:
		return &linkError{"publishing to the stream", s.ep, errNack}
	}
	close(s.p.marker.confirmed)
	s.marks = nil
	if s.sent == 0 {
		s.p.works(s.ep)
	}
	return nil
}

func (s *session) markClosed(e *amqp091.Error) error {
	if e == nil {
		e = amqp091.ErrClosed
	}
	return &linkError{"publishing to the stream", s.ep, e}
}
