// Package jsonv1 reads and writes the messages of the WebSocket subprotocol
// warren.v1.json: JSON objects, one in a text frame.
package jsonv1

import "warren/gateway/request"

// Subprotocol is its name in Sec-WebSocket-Protocol.
const Subprotocol = request.SubprotocolJSON

// MaxDepth is how deep JSON may be nested: a client's frame, itself included,
// and a payload that goes out as JSON.
const MaxDepth = 64

// Kind is what a client asks for.
type Kind int

const (
	Subscribe Kind = iota + 1
	Unsubscribe
	Publish
	Ping
)

// Command is one frame from a client. Its slices are valid until the frame is
// overwritten, or its Parser is used again.
type Command struct {
	Kind Kind

	// Ref is the JSON token, string or number, as it stood; nil if none.
	Ref []byte

	// Channel is a valid name, or empty for root. Of all but Ping.
	Channel []byte

	// Of Subscribe.
	Since   []byte // the text of an id, unchecked; nil if none
	History int    // messages back from the last; -1 if none

	// Of Publish.
	ID      []byte // the sender's, 1 to MaxID bytes; nil if none
	Payload []byte // data as it stood, text unescaped, or base64 decoded
	Text    bool   // it was data or text, and is valid UTF-8 if the frame is
}

// Bounds in bytes of what a client chooses.
const (
	MaxRef = 64 // of a string's token, without its quotes
	MaxID  = 128
)
