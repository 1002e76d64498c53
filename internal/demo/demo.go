package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"warren/haproxy/haproxytest"
	"warren/internal/child"
)

const (
	// startLimit is for each part to come up; machines may be busy.
	startLimit = 2 * time.Minute
	// nodeGrace is what a gateway gets to close its clients.
	nodeGrace = 15 * time.Second
)

type options struct {
	listen  string // of HAProxy
	amqpURL string // empty: run a RabbitMQ
}

// demo is the parts, in the order they start. Nil parts aren't there.
type demo struct {
	out    *child.Lines
	dir    string // everything that is written lies below
	broker *broker
	nodes  [2]*node
	proxy  *haproxytest.Proxy
}

// run starts everything, says what to open, and stops everything when ctx ends
// or a part does; that is an error.
func run(ctx context.Context, o options, stdout io.Writer) (err error) {
	if err := tryListen(o.listen); err != nil {
		return err
	}
	d := &demo{out: child.NewLines(stdout)}
	if d.dir, err = os.MkdirTemp("", "warren-demo-"); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() {
		stopped := d.stop()
		if err != nil && ctx.Err() != nil {
			err = nil // what was interrupted by Ctrl-C didn't fail
		}
		err = errors.Join(err, stopped)
	}()

	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := d.start(limited, o); err != nil {
		return err
	}
	d.welcome()
	return d.watch(ctx)
}

// tryListen finds out whether addr is free before anything slow begins.
func tryListen(addr string) error {
	l, err := net.Listen("tcp", addr)
	switch {
	case inUse(err):
		return fmt.Errorf("%s is in use: stop who listens there, or choose another with go run ./internal/demo --listen HOST:PORT", addr)
	case err != nil:
		return fmt.Errorf("HAProxy's address: %w", err)
	}
	return l.Close()
}

func inUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

func (d *demo) start(ctx context.Context, o options) error {
	d.say("starting; this takes some seconds")
	binary := filepath.Join(d.dir, "warren")
	slow, slowCtx := errgroup.WithContext(ctx)
	slow.Go(func() error { return build(slowCtx, binary) })
	slow.Go(func() (err error) {
		d.broker, err = startBroker(slowCtx, d.dir, o.amqpURL)
		return err
	})
	if err := slow.Wait(); err != nil {
		return err
	}
	d.say("%s", d.broker)

	for i := range d.nodes {
		name := fmt.Sprintf("node%d", i+1)
		n, err := startNode(name, binary, d.dir, d.broker.url, d.out.Prefixed(name+"   | "))
		if err != nil {
			return err
		}
		d.nodes[i] = n
	}
	for _, n := range d.nodes {
		if err := n.awaitReady(ctx); err != nil {
			return err
		}
	}

	var err error
	d.proxy, err = haproxytest.Start(ctx, haproxytest.Options{
		Form:   haproxytest.Tutorial, // no certificate that browsers would have to be told of
		Listen: o.listen,
		Nodes:  [2]string{d.nodes[0].addr, d.nodes[1].addr},
		Output: d.out.Prefixed("haproxy | "),
	})
	return err
}

// build compiles the gateway to binary.
func build(ctx context.Context, binary string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "warren/cmd/warren").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return nil
}

func (d *demo) welcome() {
	page := d.proxy.Addr()
	if host, port, err := net.SplitHostPort(page); err == nil && net.ParseIP(host).IsLoopback() {
		page = net.JoinHostPort("localhost", port)
	}
	d.say("")
	d.say("Open http://%s in two windows: what you send in one shows in both.", page)
	d.say("Or: npx wscat -c ws://%s/ws/room", page)
	d.say("Or: curl --data-binary hello http://%s/publish/room", d.nodes[0].admin)
	d.say("The nodes themselves: http://%s and http://%s", d.nodes[0].addr, d.nodes[1].addr)
	d.say("Ctrl-C ends it.")
	d.say("")
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out.Prefixed("demo    | "), format+"\n", args...)
}

// watch waits for ctx to end, or for a part to: then the error says which.
func (d *demo) watch(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.broker.lost:
		return fmt.Errorf("RabbitMQ ended: %w", err)
	case <-d.nodes[0].process.Done():
		return d.nodes[0].ended()
	case <-d.nodes[1].process.Done():
		return d.nodes[1].ended()
	case <-d.proxy.Done():
		return d.proxy.Err()
	}
}

// stop ends what runs: first the nodes, so that they can say goodbye to their
// clients, last what they depend on.
func (d *demo) stop() error {
	d.say("stopping")
	var stopping errgroup.Group
	for _, n := range d.nodes {
		if n != nil {
			// Not SIGTERM: it would send its clients to the other node first.
			stopping.Go(func() error { return n.process.Stop(syscall.SIGINT, nodeGrace) })
		}
	}
	err := stopping.Wait()
	if d.proxy != nil {
		err = errors.Join(err, d.proxy.Stop())
	}
	if d.broker != nil {
		err = errors.Join(err, d.broker.stop())
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}
