package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"warren/amqp/amqptest"
	"warren/internal/rig"
)

type options struct {
	length time.Duration
	seed   uint64
}

const (
	exchange = "warren"
	stream   = "warren.stream"
	room     = "room"

	seats       = 20 // clients that stay, whatever happens to their node
	talkers     = 4  // of these
	guests      = 10 // clients that come and go
	pace        = 20 * time.Millisecond
	programPace = 10 * time.Millisecond

	// startLimit is for everything to come up, recoveryLimit for the clients
	// to be served again after harm: reached only when something is broken.
	startLimit    = 2 * time.Minute
	recoveryLimit = 90 * time.Second
)

// config is both nodes'. The history covers every outage, and is full after
// two minutes, so that memory has no reason to grow from then on.
const config = `
amqp: {delivery: stream, reconnect: {max: 1s}}
history: {messages: 50000, bytes: 16MiB, age: 2m}
clients: {close_timeout: 20s}
drain: {delay: 500ms, period: 2s}
`

// soak is one run.
type soak struct {
	o     options
	out   io.Writer
	began time.Time
	order *rig.Order

	// The parts, in the order they start; nil parts aren't there.
	dir     string
	broker  *amqptest.Server
	links   *rig.Links
	nodes   [2]*station // the first lives through it all
	ids     *rig.IDs
	program *rig.Program
	seats   []*seat
	crowd   errgroup.Group // whoever sits or visits

	harm    *harm
	meter   meter
	sources sources
	visits  visits

	fail func(error) // ends the run
}

// run does it all, and returns an error unless all is well in the end.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &soak{o: o, out: out, began: time.Now(), order: rig.NewOrder(), fail: cancel}
	if s.dir, err = os.MkdirTemp("", "warren-soak-"); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	s.logf("seed %d, for %v", o.seed, o.length)
	crowd, disperse := context.WithCancel(ctx)
	defer func() {
		disperse()
		err = errors.Join(err, s.crowd.Wait())
	}()
	limited, done := context.WithTimeout(ctx, startLimit)
	defer done()
	if err := s.start(limited); err != nil {
		return err
	}
	if err := s.gather(ctx, crowd); err != nil {
		return err
	}
	if err := s.suffer(ctx); err != nil {
		return s.explain(ctx, err)
	}
	if err := s.hush(ctx); err != nil {
		return s.explain(ctx, err)
	}
	disperse()
	if err := s.crowd.Wait(); err != nil {
		return err
	}
	if err := s.verdict(); err != nil {
		return s.explain(ctx, err)
	}
	return nil
}

// explain adds the nodes' logs to an error, or to why ctx was ended.
func (s *soak) explain(ctx context.Context, err error) error {
	switch why := context.Cause(ctx); {
	case errors.Is(why, context.Canceled):
		return fmt.Errorf("interrupted: %w", why)
	case why != nil:
		err = why
	}
	return fmt.Errorf("%w%s", err, s.logs())
}

var printing sync.Mutex

func (s *soak) logf(format string, args ...any) {
	printing.Lock()
	defer printing.Unlock()
	fmt.Fprintf(s.out, "%7.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// start brings the parts up.
func (s *soak) start(ctx context.Context) error {
	var programs rig.Programs
	slow, slowCtx := errgroup.WithContext(ctx)
	slow.Go(func() (err error) {
		programs, err = rig.Build(slowCtx, s.dir, false)
		return err
	})
	slow.Go(func() (err error) {
		s.broker, err = amqptest.Start(slowCtx, s.dir, amqptest.Options{})
		return err
	})
	err := slow.Wait()
	if err != nil {
		return err
	}
	if s.links, err = rig.StartLinks(ctx, programs); err != nil {
		return err
	}
	for i := range s.nodes {
		if s.nodes[i], err = s.startStation(ctx, programs, fmt.Sprint("node", i+1)); err != nil {
			return err
		}
	}
	// RabbitMQ must not be killed before it has written the stream down.
	if err := s.broker.Sync(ctx); err != nil {
		return err
	}
	url, err := s.link("program")
	if err != nil {
		return err
	}
	s.ids = rig.ReadIDs(s.broker.URL(), stream)
	s.program = rig.StartProgram(rig.ProgramOptions{
		URLs: []string{url}, Exchange: exchange, Stream: stream, Channel: room, ID: s.sources.next(), Every: programPace,
	})
	s.sources.add(s.program)
	s.harm = newHarm(s, rand.New(rand.NewPCG(s.o.seed, 0)))
	return nil
}

// link makes a link to RabbitMQ for whoever is called name, and returns the URL
// by way of it.
func (s *soak) link(name string) (string, error) {
	l, err := s.links.Add(name, s.broker.Addr())
	if err != nil {
		return "", err
	}
	return l.URL(s.broker.URL())
}

// suffer does harm until the time is over.
func (s *soak) suffer(ctx context.Context) error {
	if err := s.recover(ctx); err != nil {
		return err
	}
	for end := time.Now().Add(s.o.length); time.Now().Before(end); {
		if err := s.harm.next(ctx); err != nil {
			return err
		}
		if err := s.recover(ctx); err != nil {
			return err
		}
	}
	return nil
}

// recover waits until all is well again, and measures.
func (s *soak) recover(ctx context.Context) error {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	for _, n := range s.nodes {
		if err := n.AwaitReady(limited); err != nil {
			return err
		}
	}
	if err := s.awaitNew(limited); err != nil {
		return err
	}
	s.logf("all clients are served again, after %v", time.Since(began).Round(time.Millisecond))
	return s.meter.read(s.nodes[:])
}

// stop ends the parts.
func (s *soak) stop() (err error) {
	if s.program != nil {
		s.program.Cut()
	}
	if s.ids != nil {
		s.ids.Close()
	}
	for _, n := range s.nodes {
		if n != nil {
			err = errors.Join(err, n.Close())
		}
	}
	if s.links != nil {
		err = errors.Join(err, s.links.Close())
	}
	if s.broker != nil {
		err = errors.Join(err, s.broker.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// logs are the ends of the nodes' logs, to go with an error.
func (s *soak) logs() string {
	const most = 20_000
	text := ""
	for _, n := range s.nodes {
		log := n.Log.String()
		text += fmt.Sprintf("\nlog of %s:\n%s", n.Name, log[max(0, len(log)-most):])
	}
	return text
}
