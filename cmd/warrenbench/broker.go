//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"warren/amqp/amqptest"
)

// What the nodes are told to use; the yardstick has an exchange and a stream of
// its own, unless it reads what the nodes read.
const (
	nodesExchange = "bench"
	nodesStream   = "bench.stream"
	yardExchange  = "bench.yardstick"
	yardStream    = "bench.yardstick.stream"
)

// Bounds of starting RabbitMQ, and of a node's reaching it.
const (
	brokerLimit = 2 * time.Minute
	readyLimit  = time.Minute
)

// broker is a RabbitMQ.
type broker struct {
	addr string
	stop func() error
}

// startBroker runs a RabbitMQ for one benchmark. The caller stops it.
func startBroker(ctx context.Context) (broker, error) {
	ctx, cancel := context.WithTimeout(ctx, brokerLimit)
	defer cancel()
	s, err := amqptest.Start(ctx, "", amqptest.Options{})
	if err != nil {
		return broker{}, fmt.Errorf("start RabbitMQ: %w", err)
	}
	return broker{s.Addr(), s.Close}, nil
}

// through is the URL of RabbitMQ by way of addr.
func (broker) through(addr string) string {
	return (&url.URL{Scheme: "amqp", User: url.UserPassword("guest", "guest"), Host: addr, Path: "/"}).String()
}

// streamed are the settings of a node that reads a stream, by way of addr.
func (k broker) streamed(addr string) string {
	return fmt.Sprintf("amqp: {url: %q, exchange: %s, delivery: stream, stream: {name: %s}, reconnect: {min: 50ms, max: 250ms}}\n",
		k.through(addr), nodesExchange, nodesStream)
}

// awaitReady waits until the node at t is linked to RabbitMQ and caught up.
func (t target) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		err := t.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w", readyLimit, err)
		}
	}
}

func (t target) ready(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/readyz", t.addr), nil)
	if err != nil {
		return fmt.Errorf("ask for /readyz: %w", err)
	}
	a, err := client.Do(q)
	if err != nil {
		return fmt.Errorf("ask for /readyz: %w", err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return errors.New("/readyz answers " + a.Status)
	}
	return nil
}

// startNodes starts a node for each of settings and waits until it is ready. The
// caller stops all at once.
func (b *bench) startNodes(ctx context.Context, settings ...string) (nodes []target, stop func() error, err error) {
	var stops []func() error
	stop = func() (err error) {
		for _, s := range stops {
			err = errors.Join(err, s())
		}
		return err
	}
	for _, s := range settings {
		t, end, err := b.node(ctx, s)
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		nodes, stops = append(nodes, t), append(stops, end)
		if err := t.awaitReady(ctx); err != nil {
			return nil, nil, errors.Join(err, stop())
		}
	}
	return nodes, stop, nil
}
