package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp/amqptest"
)

// broker is the RabbitMQ that the nodes share.
type broker struct {
	url    string           // with its password: not for printing
	server *amqptest.Server // nil if it isn't ours

	// watch is open for as long as our server lives; lost gets the error it
	// ends with. Nil if the server isn't ours: nodes outlive a restart.
	watch *amqp091.Connection
	lost  chan error
}

// startBroker uses the RabbitMQ of url, or runs one below dir.
func startBroker(ctx context.Context, dir, url string) (*broker, error) {
	if url != "" {
		return &broker{url: url}, nil
	}
	server, err := amqptest.Start(ctx, dir, amqptest.Options{})
	if err != nil {
		return nil, err
	}
	b := &broker{url: server.URL(), server: server, lost: make(chan error, 1)}
	if b.watch, err = amqp091.Dial(b.url); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to RabbitMQ: %w", err), server.Close())
	}
	closed := b.watch.NotifyClose(make(chan *amqp091.Error, 1))
	go func() { // ends with the connection
		if err, failed := <-closed; failed {
			b.lost <- err
		}
	}()
	return b, nil
}

func (b *broker) String() string {
	if b.server == nil {
		return "RabbitMQ is the one of WARREN_AMQP_URL"
	}
	return "RabbitMQ listens on " + b.server.Addr()
}

func (b *broker) stop() error {
	if b.server == nil {
		return nil
	}
	b.watch.Close() // fails if the server has died
	return errors.Join(b.server.Stop(), b.server.Close())
}
