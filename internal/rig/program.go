package rig

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// ProgramOptions says where a Program publishes.
type ProgramOptions struct {
	URLs     []string // tried in turn
	Exchange string
	Stream   string // that must be there and readable; empty: the exchange must be there
	Channel  string
	ID       int // as a Source
	Every    time.Duration
}

// Program is an AMQP program, not Warren's, that loses nothing: it publishes
// numbered messages with message ids, persistent, mandatory and confirmed, on a
// channel that carries nothing else. What was not confirmed or came back it
// sends again, in order, on a new connection, once it has found the stream there
// and could read it.
type Program struct {
	o    ProgramOptions
	boot string // makes its message ids unique

	stop chan struct{} // closed: begin no more messages
	done chan struct{}
	kill context.CancelFunc

	mu        sync.Mutex
	begun     int   // guarded by mu
	confirmed int   // guarded by mu; all below it are
	links     int   // guarded by mu; times it could publish
	err       error // guarded by mu; why it can't publish, or last couldn't
}

// programWindow is how many messages it leaves unconfirmed.
const programWindow = 500

// StartProgram begins to publish a message at each tick. Stop ends it.
func StartProgram(o ProgramOptions) *Program {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Program{o: o, boot: rand.Text()[:8], stop: make(chan struct{}), done: make(chan struct{}), kill: cancel}
	go func() {
		defer close(p.done)
		p.run(ctx)
	}()
	return p
}

// ID implements Source.
func (p *Program) ID() int { return p.o.ID }

// Mark implements Source.
func (p *Program) Mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

// Confirmed is a number: all messages below it are confirmed.
func (p *Program) Confirmed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.confirmed
}

// Links is how often it could begin to publish.
func (p *Program) Links() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links
}

// Stop begins no more messages, waits until those begun are confirmed, or ctx
// ends, and ends the program.
func (p *Program) Stop(ctx context.Context) error {
	defer p.Cut()
	close(p.stop)
	return Await(ctx, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.confirmed < p.begun {
			return fmt.Errorf("the AMQP program has %d of %d messages confirmed; last error: %v", p.confirmed, p.begun, p.err)
		}
		return nil
	})
}

// Cut ends the program at once.
func (p *Program) Cut() {
	p.kill()
	<-p.done
}

func (p *Program) run(ctx context.Context) {
	const between = 200 * time.Millisecond
	pause := time.NewTimer(0)
	defer pause.Stop()
	for i := 0; ; i++ {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		err := p.session(ctx, p.o.URLs[i%len(p.o.URLs)])
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		pause.Reset(between)
	}
}

// session publishes over one connection until something fails.
func (p *Program) session(ctx context.Context, url string) error {
	conn, cut, err := dialAMQP(url)
	if err != nil {
		return err
	}
	// The library's Close can hang for as long as a Publish does: cut first.
	defer conn.Close()
	defer cut()
	defer context.AfterFunc(ctx, cut)()
	limit := time.AfterFunc(setupTimeout, cut)
	reading, err := p.attach(conn)
	if err != nil {
		return err
	}
	s := &programSession{p: p, reading: reading}
	if err := s.open(conn); err != nil {
		return err
	}
	if !limit.Stop() {
		return errors.New("setting up took too long")
	}
	p.mu.Lock()
	p.links++
	s.next, s.acked = p.confirmed, p.confirmed
	p.mu.Unlock()
	return s.loop(ctx)
}

// Time limits of the program's link.
const (
	setupTimeout   = 15 * time.Second
	confirmTimeout = 10 * time.Second
)

// dialAMQP connects; cut closes the socket below.
func dialAMQP(url string) (conn *amqp091.Connection, cut func(), err error) {
	var socket net.Conn
	conn, err = amqp091.DialConfig(url, amqp091.Config{
		Heartbeat: 5 * time.Second,
		Dial: func(network, addr string) (net.Conn, error) {
			var err error
			if socket, err = net.DialTimeout(network, addr, 5*time.Second); err != nil {
				return nil, err
			}
			// For the handshake; the library lifts it.
			return socket, socket.SetDeadline(time.Now().Add(5 * time.Second))
		},
	})
	if err != nil {
		if socket != nil {
			socket.Close()
		}
		return nil, nil, err
	}
	return conn, func() { socket.Close() }, nil
}

// attach succeeds when what is published reaches the stream. It goes on reading
// there, so that the stream's end is noticed.
func (p *Program) attach(conn *amqp091.Connection) (<-chan amqp091.Delivery, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if p.o.Stream == "" {
		return nil, ch.ExchangeDeclarePassive(p.o.Exchange, amqp091.ExchangeFanout, true, false, false, false, nil)
	}
	return readStream(ch, p.o.Stream, "next")
}

// streamPrefetch is how many deliveries of a stream go without ack; one in
// this many is acknowledged.
const streamPrefetch = 200

// readStream consumes from offset. The stream must be there.
func readStream(ch *amqp091.Channel, stream string, offset any) (<-chan amqp091.Delivery, error) {
	if _, err := ch.QueueDeclarePassive(stream, true, false, false, false, nil); err != nil {
		return nil, err
	}
	if err := ch.Qos(streamPrefetch, 0, false); err != nil {
		return nil, err
	}
	return ch.Consume(stream, "", false, false, false, false, amqp091.Table{"x-stream-offset": offset})
}

// programSession is a connection on which the program publishes.
type programSession struct {
	p        *Program
	ch       *amqp091.Channel
	reading  <-chan amqp091.Delivery
	confirms chan amqp091.Confirmation
	returns  chan amqp091.Return
	blocks   chan amqp091.Blocking

	next, acked int // numbers: of the next message to send, of the oldest unconfirmed
	read        int
	blocked     bool
	progress    time.Time
}

func (s *programSession) open(conn *amqp091.Connection) (err error) {
	if s.ch, err = conn.Channel(); err != nil {
		return err
	}
	s.blocks = conn.NotifyBlocked(make(chan amqp091.Blocking, 64))
	s.confirms = s.ch.NotifyPublish(make(chan amqp091.Confirmation, 2*programWindow))
	s.returns = s.ch.NotifyReturn(make(chan amqp091.Return, 2*programWindow))
	return s.ch.Confirm(false)
}

func (s *programSession) loop(ctx context.Context) error {
	p := s.p
	tick, check := time.NewTicker(p.o.Every), time.NewTicker(time.Second)
	defer tick.Stop()
	defer check.Stop()
	s.progress = time.Now()
	stop, first := p.stop, s.acked
	for {
		// One message alone shows that publishing works.
		for s.next < p.Mark() && !s.blocked && s.next-s.acked < programWindow && (s.acked > first || s.next == first) {
			if err := s.publish(ctx); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stop:
			stop = nil
			tick.Stop()
		case <-tick.C:
			p.begin(p.Mark() - s.acked)
		case <-check.C:
			if s.next == s.acked || s.blocked {
				s.progress = time.Now()
			} else if time.Since(s.progress) > confirmTimeout {
				return fmt.Errorf("no confirm in %v", confirmTimeout)
			}
		case b, ok := <-s.blocks:
			if !ok {
				return amqp091.ErrClosed
			}
			s.blocked = b.Active
		case d, ok := <-s.reading:
			if err := s.noteRead(d, ok); err != nil {
				return err
			}
		case <-s.returns:
			return errors.New("a message came back")
		case c, ok := <-s.confirms:
			if err := s.confirm(c, ok); err != nil {
				return err
			}
		}
	}
}

// begin makes a message, unless the window is full or the program stops.
func (p *Program) begin(unconfirmed int) {
	select {
	case <-p.stop:
		return
	default:
	}
	if unconfirmed >= programWindow {
		return
	}
	p.mu.Lock()
	p.begun++
	p.mu.Unlock()
}

func (s *programSession) publish(ctx context.Context) error {
	o := &s.p.o
	err := s.ch.PublishWithContext(ctx, o.Exchange, o.Channel, true, false, amqp091.Publishing{
		ContentType:  "text/plain",
		DeliveryMode: amqp091.Persistent,
		MessageId:    fmt.Sprintf("%s-%d", s.p.boot, s.next),
		AppId:        "careful",
		Body:         fmt.Appendf(nil, "%d/%d", o.ID, s.next),
	})
	s.next++
	return err
}

func (s *programSession) confirm(c amqp091.Confirmation, ok bool) error {
	switch {
	case !ok:
		return amqp091.ErrClosed
	case len(s.returns) > 0: // a return comes before its message's confirm
		return errors.New("a message came back")
	case !c.Ack:
		return errors.New("a message was refused")
	}
	s.acked++
	s.progress = time.Now()
	s.p.mu.Lock()
	s.p.confirmed = s.acked
	s.p.mu.Unlock()
	return nil
}

func (s *programSession) noteRead(d amqp091.Delivery, ok bool) error {
	if !ok {
		return errors.New("the stream can't be read any more")
	}
	if s.read++; s.read%(streamPrefetch/2) == 0 {
		return d.Ack(true)
	}
	return nil
}
