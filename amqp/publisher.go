package amqp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// errUnrouted means that the node's own queue isn't bound to the exchange any
// more, or the exchange is gone: the consumer must attach anew.
var errUnrouted = errors.New("a message was not routed to any queue, not even the node's own")

var errNack = errors.New("RabbitMQ could not take a message (nack): a queue bound to the exchange may be full and set to reject-publish")

// publisher sends the window's messages, in order. It runs only while the
// node's own queue is bound and consumed from: RabbitMQ confirms what it
// routes nowhere. Owned by the goroutine of run.
type publisher struct {
	x     *Exchange
	ready func() // Receiver.Ready
	retry *retry
	alarm bool // RabbitMQ's alarm was logged and not yet its end
	lost  bool // the loss of the link was logged

	// Of the present attachment.
	marker  *marker
	replyTo string // the node's queue

	through []settlement // of the latest messages taken off the window

	// suspects is how many of the oldest messages may be what RabbitMQ
	// closed the channel over. They are sent one by one, to find it.
	suspects int
}

const publishWaits = "publishing waits for the node's queue"

// run publishes over ep until ctx, the attachment's, ends. detach ends the
// attachment.
func (p *publisher) run(ctx context.Context, ep endpoint, detach context.CancelCauseFunc) {
	st, log := &p.x.status, p.x.opts.Logger
	defer func() { st.set(&st.publish, side{doing: publishWaits}) }()
	for {
		st.trying(&st.publish, "connecting to "+ep.name+" to publish")
		up, err := p.session(ctx, ep)
		if errors.Is(err, errUnrouted) {
			detach(err)
			return
		}
		if ctx.Err() != nil {
			return
		}
		wait, operator := p.retry.after(err, up)
		st.failed(&st.publish, err, time.Now().Add(wait))
		// Most often it is RabbitMQ that died, and the consumer says so in
		// a moment: one line is enough.
		if !operator && !sleep(ctx, wait) {
			return
		}
		if p.retry.isNews(ep, err) {
			p.lost = true
			log.Warn("can't publish to RabbitMQ", "url", ep.name, "error", err, "retry", operatorRetry(wait, operator))
		}
		if operator && !sleep(ctx, wait) {
			return
		}
	}
}

// operatorRetry says in a log line when the next attempt comes.
func operatorRetry(wait time.Duration, operator bool) string {
	if operator {
		return "every " + wait.String() + " until it is mended"
	}
	return "soon"
}

// session is one channel with confirms. Nothing else is ever sent on it.
type session struct {
	p        *publisher
	ep       endpoint
	sock     *socket
	ch       *amqp091.Channel
	confirms chan amqp091.Confirmation
	returns  chan amqp091.Return
	closes   chan *amqp091.Error
	blocks   chan amqp091.Blocking

	// Of the marker's channel; marks is nil unless it is on its way.
	marks       chan amqp091.Confirmation
	markReturns chan amqp091.Return
	markCloses  chan *amqp091.Error

	acked    uint64    // delivery tags begin at 1
	sent     int       // unconfirmed
	blocked  bool      // by connection.blocked
	progress time.Time // when the oldest unconfirmed message became it
}

// session connects and publishes until something fails. It returns for how
// long it was able to publish, and why it ended.
func (p *publisher) session(ctx context.Context, ep endpoint) (up time.Duration, err error) {
	l, err := p.x.opts.dial(ctx, ep, "publish")
	if err != nil {
		return 0, err
	}
	defer func() {
		if p.x.counters.blocked.Swap(false) || ctx.Err() == nil {
			l.cut() // would not read our goodbye, or is broken
		} else {
			l.close()
		}
	}()
	s := &session{p: p, ep: ep, sock: l.sock, blocks: l.NotifyBlocked(make(chan amqp091.Blocking, notices))}
	if err := l.setUp(ep, func() error { return s.open(l) }); err != nil {
		return 0, err
	}
	p.x.window.rewind()
	p.linked(ep)
	began := time.Now()
	err = s.loop(ctx)
	return time.Since(began), err
}

// notices is room for messages from RabbitMQ that are rare.
const notices = 64

// open makes the channel. The library stalls when a listener's Go channel is
// full: each has room for everything that can be under way.
func (s *session) open(l *link) (err error) {
	if s.ch, err = l.Channel(); err != nil {
		return &linkError{"opening a channel", s.ep, err}
	}
	room := s.p.x.opts.WindowMessages + notices
	s.confirms = s.ch.NotifyPublish(make(chan amqp091.Confirmation, room))
	s.returns = s.ch.NotifyReturn(make(chan amqp091.Return, room))
	s.closes = s.ch.NotifyClose(make(chan *amqp091.Error, 1))
	if err := s.ch.Confirm(false); err != nil {
		return &linkError{"asking for confirms", s.ep, err}
	}
	return s.mark(l)
}

func (p *publisher) linked(ep endpoint) {
	p.x.status.set(&p.x.status.publish, side{up: true})
	if n, _, _ := p.x.window.state(); n == 0 && !p.marker.wanted() {
		p.works(ep)
	} // else the first confirm shows it: RabbitMQ may refuse what waits
}

// works makes the next failure news.
func (p *publisher) works(ep endpoint) {
	p.retry.linked()
	if p.lost {
		p.lost = false
		p.x.opts.Logger.Info("publishing to RabbitMQ again", "url", ep.name)
	}
}

var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (s *session) loop(ctx context.Context) error {
	w, timeout := s.p.x.window, s.p.x.opts.ConfirmTimeout
	tick := time.NewTicker(timeout/4 + 1)
	defer tick.Stop()
	for {
		// Its own queue gone, what is confirmed from now on may be lost to
		// this node's clients: leave it unconfirmed and send it again.
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		more, err := s.send()
		if err != nil {
			return err
		}
		again := always
		if !more {
			again = nil
		}
		select {
		case <-ctx.Done():
		case e := <-s.closes:
			return s.closed(e)
		case b, ok := <-s.blocks:
			if !ok { // with the connection: no sign that an alarm ended
				s.blocks = nil
				continue
			}
			s.block(b)
		case _, ok := <-s.returns:
			if !ok { // with the channel: nothing came back
				return s.closed(<-s.closes)
			}
			return s.returned()
		case c, ok := <-s.marks:
			if err := s.marked(c, ok); err != nil {
				return err
			}
		case c, ok := <-s.confirms:
			if !ok {
				return s.closed(<-s.closes)
			}
			if err := s.confirm(c); err != nil {
				return err
			}
		case <-tick.C:
			if (s.sent > 0 || s.marking()) && !s.blocked && time.Since(s.progress) > timeout {
				s.p.x.counters.timeouts.Add(1)
				return &linkError{"", s.ep, fmt.Errorf("no confirm from RabbitMQ in %v", timeout)}
			}
		case <-w.wake:
		case <-again:
		}
	}
}

// send publishes some of what waits. more says that there may be more to
// send at once.
func (s *session) send() (more bool, err error) {
	s.sock.cork()
	defer func() {
		if e := s.sock.uncork(); e != nil && err == nil {
			err = &linkError{"publishing", s.ep, e}
		}
	}()
	const batch = 64 // then look at confirms and the like
	for range batch {
		// The first message goes alone: after a restart RabbitMQ's port is
		// open before its routes are, and an alarm shows only on publishing.
		if s.blocked || s.marking() || s.sent > 0 && (s.acked == 0 || s.p.suspects > 0) {
			return false, nil
		}
		e, ok := s.p.x.window.next()
		if !ok {
			return false, nil
		}
		if e.resent {
			s.p.x.counters.resent.Add(1)
		}
		if s.sent == 0 {
			s.progress = time.Now()
		}
		s.sent++
		if err := s.ch.Publish(s.p.x.opts.Exchange, e.channel, true, false, s.p.publishing(&e)); err != nil {
			return false, &linkError{"publishing", s.ep, err}
		}
	}
	return true, nil
}

// publishing is how e goes to RabbitMQ.
func (p *publisher) publishing(e *entry) amqp091.Publishing {
	m := amqp091.Publishing{
		ContentType:  contentBinary,
		DeliveryMode: amqp091.Transient,
		MessageId:    formatID(p.x.publisher, e.seq),
		Timestamp:    e.at,
		AppId:        appID,
		Body:         e.payload,
	}
	if e.text {
		m.ContentType = contentText
	}
	if p.x.opts.Delivery == DeliverStream {
		m.DeliveryMode = amqp091.Persistent
	}
	if e.client != 0 { // else nobody would get the answer
		m.ReplyTo, m.CorrelationId = p.replyTo, formatClient(e.client)
	}
	if e.user != "" || e.session != "" || e.clientID != "" {
		m.Headers = amqp091.Table{}
	}
	if e.user != "" {
		m.Headers[headerUser] = e.user
	}
	if e.session != "" {
		m.Headers[headerSession] = e.session
	}
	if e.clientID != "" {
		m.Headers[headerClientID] = e.clientID
	}
	return m
}

// confirm takes c, and those that came with it, off the window. The library
// hands them out in the order of publishing.
func (s *session) confirm(c amqp091.Confirmation) error {
	n, more := 0, len(s.confirms)
	var err error
	for {
		// A return comes before the confirm of the same message.
		if len(s.returns) > 0 {
			err = s.returned()
			break
		}
		if !c.Ack || c.DeliveryTag != s.acked+1 {
			err = &linkError{"", s.ep, errNack}
			break
		}
		n++
		s.acked++
		s.sent--
		if more--; more < 0 {
			break
		}
		var ok bool
		if c, ok = <-s.confirms; !ok {
			break
		}
	}
	if n == 0 {
		return err
	}
	if s.acked == uint64(n) {
		s.p.works(s.ep)
	}
	s.progress = time.Now()
	s.p.x.counters.confirmed.Add(uint64(n))
	s.p.suspects = max(0, s.p.suspects-n)
	if !s.blocked {
		s.p.alarmEnded()
	}
	s.p.drop(n, nil)
	return err
}
