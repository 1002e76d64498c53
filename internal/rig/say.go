package rig

import (
	"context"
	"errors"
	"fmt"

	"github.com/rabbitmq/amqp091-go"
)

// Say publishes a text message on a channel, once, and returns when RabbitMQ has
// confirmed it.
func Say(ctx context.Context, amqpURL, exchange, channel, text string) error {
	conn, cut, err := dialAMQP(amqpURL)
	if err != nil {
		return fmt.Errorf("publishing %q: %w", text, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, cut)()
	if err := say(ctx, conn, exchange, channel, text); err != nil {
		return fmt.Errorf("publishing %q: %w", text, err)
	}
	return nil
}

func say(ctx context.Context, conn *amqp091.Connection, exchange, channel, text string) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	returns := ch.NotifyReturn(make(chan amqp091.Return, 1))
	if err := ch.Confirm(false); err != nil {
		return err
	}
	confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, exchange, channel, true, false, amqp091.Publishing{
		ContentType:  "text/plain",
		DeliveryMode: amqp091.Persistent,
		Body:         []byte(text),
	})
	if err != nil {
		return err
	}
	switch ok, err := confirm.WaitContext(ctx); {
	case err != nil:
		return err
	case !ok:
		return errors.New("RabbitMQ refused it")
	case len(returns) > 0:
		return errors.New("it came back: nothing is bound to the exchange")
	}
	return nil
}
