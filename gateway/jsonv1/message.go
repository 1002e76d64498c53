package jsonv1

import (
	"encoding/base64"
	"strconv"

	"warren/gateway/internal/place"
)

// Message is one that goes to clients.
type Message struct {
	Channel string // any bytes: AMQP programs choose routing keys
	Root    bool   // it comes by the subscription to root

	// Offset and Check are its id; it has none if Check is 0.
	Offset uint64
	Check  uint32

	// Publisher and Seq are its AMQP message_id: "<publisher>-<seq>", or the
	// publisher alone if Seq is 0. None if Publisher is empty.
	Publisher string
	Seq       uint64

	Payload []byte
	Text    bool // Payload is text, and valid UTF-8

	At int64 // when it was published, in milliseconds since 1970
}

// AppendMessage appends m as it goes to those who subscribed.
func AppendMessage(dst []byte, m *Message) []byte {
	dst = append(dst, `{"type":"message"`...)
	dst = appendChannel(dst, m.Channel, m.Root)
	dst = appendPlace(dst, `,"id":"`, m.Offset, m.Check)
	dst = appendMID(dst, `,"mid":"`, m.Publisher, m.Seq)
	dst = append(dst, `,"at":`...)
	dst = strconv.AppendInt(dst, m.At, 10)
	return appendPayload(dst, m)
}

// AppendDirect appends m as it goes to the one connection it is for: its id is
// the AMQP message_id, and it has neither channel nor time.
func AppendDirect(dst []byte, m *Message) []byte {
	dst = append(dst, `{"type":"direct"`...)
	dst = appendMID(dst, `,"id":"`, m.Publisher, m.Seq)
	return appendPayload(dst, m)
}

// appendPayload appends the last field and the end of the object.
func appendPayload(dst []byte, m *Message) []byte {
	switch {
	case !m.Text:
		dst = append(dst, `,"base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, m.Payload)
		dst = append(dst, '"')
	case validJSON(m.Payload, MaxDepth):
		dst = append(dst, `,"data":`...)
		dst = append(dst, m.Payload...)
	default:
		dst = append(dst, `,"text":`...)
		dst = appendText(dst, m.Payload)
	}
	return append(dst, '}')
}

func appendChannel(dst []byte, channel string, root bool) []byte {
	dst = append(dst, `,"channel":`...)
	dst = appendString(dst, channel)
	if root {
		dst = append(dst, `,"root":true`...)
	}
	return dst
}

// appendPlace appends field, which ends in the value's first quote, and the
// place; nothing if it is none.
func appendPlace(dst []byte, field string, offset uint64, check uint32) []byte {
	id := place.ID{Offset: offset, Check: check}
	if id.IsZero() {
		return dst
	}
	dst = append(dst, field...)
	dst = id.Append(dst)
	return append(dst, '"')
}

// appendMID does the same with an AMQP message_id.
func appendMID(dst []byte, field, publisher string, seq uint64) []byte {
	if publisher == "" {
		return dst
	}
	dst = append(dst, field...)
	dst = appendEscaped(dst, publisher, &ascii)
	if seq != 0 {
		dst = append(dst, '-')
		dst = strconv.AppendUint(dst, seq, 10)
	}
	return append(dst, '"')
}
