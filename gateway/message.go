package gateway

import "time"

// Message is what travels through an exchange: one WebSocket message from a
// browser, or one AMQP message from any program.
type Message struct {
	// Channel is the name clients listen on and the AMQP routing key.
	// Empty is root. A name that no client can ask for (see ValidChannel)
	// reaches root clients only.
	Channel string

	// Payload is the whole message, unmasked. Its owner may reuse it once
	// the call that took the message has returned.
	Payload []byte

	// Text says that Payload goes out as a text frame and is valid UTF-8
	// (RFC 6455, 5.6). Otherwise it is binary.
	Text bool

	// Client is the connection a published message came from; 0 for a
	// delivered one.
	Client ConnID

	// User is whose message it is, by the token of its connection, and ClientID
	// the id that its sender gave it: within the user, or else within the
	// connection, it is delivered once. Of a published message; empty is none.
	User, ClientID string

	// ID names a delivered message on every node. If the exchange has none to
	// give, the gateway numbers it, for this process only.
	ID ID

	// Blank says that it is for no client. It only tells by its ID how far the
	// exchange was read.
	Blank bool

	// At is when a delivered message was published, as far as is known; the
	// time of delivery if zero. Histories forget by it.
	At time.Time
}

// ConnID names a connection for as long as the process lives. It is never
// used again, unlike a file descriptor. 0 is none.
type ConnID uint64
