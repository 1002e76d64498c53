package gateway

import (
	"strconv"
	"strings"
	"time"
)

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

	// Client is the connection a published message came from, or the only one
	// that a delivered message is for; 0 for none.
	Client ConnID

	// User is whose message it is, by the token of its connection; Session a
	// secret of its sender's; and ClientID the id that its sender gave it:
	// within the user, or else the session, or else the connection, it is
	// delivered once. Of a published message; empty is none.
	User, Session, ClientID string

	// Settled, of a published message, is called once, when the exchange has
	// confirmed it or, with an error, won't take it. It doesn't block. Any
	// goroutine, not from within Publish. Nil: nobody asks.
	Settled func(MessageID, error)

	// MessageID names a delivered message by its publisher, if it has a name.
	MessageID MessageID

	// ID names a delivered message on every node. If the exchange has none to
	// give, the gateway numbers it, for this process only.
	ID ID

	// Blank says that it is for no client. It only tells by its ID how far the
	// exchange was read.
	Blank bool

	// At is when a delivered message was published, as far as is known; the
	// time of delivery if zero.
	At time.Time

	// Replayed says that it is read back from where it was kept: for histories
	// it is as old as At says. Others are new, whatever their publisher's clock.
	Replayed bool
}

// IsTextType says whether a message of this content type goes out as text, if it
// is valid UTF-8: "text/*", "application/json", or none.
func IsTextType(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	return kind == "" || len(kind) > 5 && strings.EqualFold(kind[:5], "text/") || strings.EqualFold(kind, "application/json")
}

// MessageID is AMQP's message_id. Warren's nodes number what they publish, by
// Seq from 1 on; with Seq 0, Publisher is the whole id of another program's
// message. The zero MessageID is none.
type MessageID struct {
	Publisher string
	Seq       uint64
}

// String is "<publisher>-<seq>", or another program's id as it is.
func (id MessageID) String() string {
	if id.Seq == 0 {
		return id.Publisher
	}
	return id.Publisher + "-" + strconv.FormatUint(id.Seq, 10)
}

// ConnID names a connection of this process. Unlike a file descriptor it isn't
// used again, or not for tens of millions of connections. 0 is none.
type ConnID uint64

// A ConnID leads to its client: bits for the shard, the slot there and the
// slot's generation.
const (
	connShardBits = 12
	connSlotBits  = 26
)

func newConnID(shard int, slot, generation uint32) ConnID {
	return ConnID(generation+1)<<(connShardBits+connSlotBits) | ConnID(slot)<<connShardBits | ConnID(shard)
}

func (id ConnID) shard() int { return int(id & (1<<connShardBits - 1)) }

func (id ConnID) slot() uint32 { return uint32(id>>connShardBits) & (1<<connSlotBits - 1) }
