package gateway

import (
	"context"
	"errors"
)

// ErrBusy is returned by Exchange.Publish when the exchange can take no more
// for now. It has kept nothing of the message.
var ErrBusy = errors.New("exchange busy")

// Exchange carries messages between nodes. Implemented by amqp.Exchange and
// by Embedded.
type Exchange interface {
	// Run links the exchange to the gateway and delivers to it until ctx
	// ends. It is called once, in a goroutine of its own. It returns nil
	// after ctx ended, or an error that no retry can mend.
	Run(ctx context.Context, to Receiver) error

	// Publish takes m without blocking, or refuses it with ErrBusy; then
	// it calls Receiver.Ready once there is room again. It copies what it
	// keeps of m.Payload. m.Settled is called for what it took only. It may be called from any goroutine, before,
	// while and after Run runs. Messages published by one goroutine keep
	// their order.
	Publish(m Message) error

	// Status is nil while the exchange is linked and consuming; else it
	// says why not, in words an operator can act on, without secrets.
	// Any goroutine.
	Status() error

	// Flush waits until what Publish took has been confirmed (or, for
	// Embedded, delivered), or ctx ends; then the error says how much is
	// left. Run must still be running.
	Flush(ctx context.Context) error
}

// Receiver is the gateway as an exchange sees it.
type Receiver interface {
	// Deliver appends m to the logs of those who listen, or if m.Client is
	// given, hands it to that one. It never waits for a client, and copies
	// what it keeps. Called from one goroutine
	// at a time; message order is delivery order.
	Deliver(m Message)

	// Gap says that messages are missing between the last delivery and the
	// next. Called like Deliver, in one order with it.
	Gap(gap Gap)

	// Hold is nil while deliveries are welcome. While most clients that
	// read can't keep up, it is a channel that is closed when they have
	// caught up: the exchange should deliver nothing until then, so that
	// a fast source evicts nobody who reads. Any goroutine.
	Hold() <-chan struct{}

	// Ready says that Publish, having returned ErrBusy, may be tried
	// again. It doesn't block. Any goroutine; not from within Publish.
	Ready()
}
