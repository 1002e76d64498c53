package gateway

// encoding is how messages are put for a client.
type encoding uint8

const (
	rawFrames   encoding = iota // the payload is the WebSocket message
	jsonFrames                  // warren.v1.json: see package jsonv1
	eventStream                 // server-sent events: see package eventstream
	encodings
)
