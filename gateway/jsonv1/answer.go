package jsonv1

import (
	"strconv"

	"warren/gateway/internal/place"
)

// AppendWelcome appends the first message of a connection. It has no user if
// that is empty.
func AppendWelcome(dst []byte, connection uint64, node, user string) []byte {
	dst = append(dst, `{"type":"welcome","connection":"`...)
	dst = strconv.AppendUint(dst, connection, 10)
	dst = append(dst, `","node":`...)
	dst = appendString(dst, node)
	if user != "" {
		dst = append(dst, `,"user":`...)
		dst = appendString(dst, user)
	}
	return append(dst, '}')
}

// AppendSubscribed says where a subscription begins, and whether messages
// between that and what was asked for are missing.
func AppendSubscribed(dst []byte, channel string, offset uint64, check uint32, gap bool, ref []byte) []byte {
	dst = append(dst, `{"type":"subscribed"`...)
	dst = appendChannel(dst, channel, false)
	dst = appendPlace(dst, `,"id":"`, offset, check)
	if gap {
		dst = append(dst, `,"gap":true`...)
	}
	return appendRef(dst, ref)
}

// AppendUnsubscribed says that no more comes of a channel.
func AppendUnsubscribed(dst []byte, channel string, ref []byte) []byte {
	dst = append(dst, `{"type":"unsubscribed"`...)
	dst = appendChannel(dst, channel, false)
	return appendRef(dst, ref)
}

// AppendAck says that a message was confirmed, and its AMQP message_id.
func AppendAck(dst, ref []byte, publisher string, seq uint64) []byte {
	dst = append(dst, `{"type":"ack"`...)
	dst = appendMID(dst, `,"mid":"`, publisher, seq)
	return appendRef(dst, ref)
}

// AppendError says what was wrong.
func AppendError(dst []byte, e *Error) []byte {
	dst = append(dst, `{"type":"error","code":`...)
	dst = appendString(dst, e.Code)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.Message)
	return appendRef(dst, e.Ref)
}

// AppendGap says that what lay behind from and up to to can't be given, or not
// all of it. A zero ID is left out.
func AppendGap(dst []byte, channel string, root bool, from, to place.ID) []byte {
	dst = append(dst, `{"type":"gap"`...)
	dst = appendChannel(dst, channel, root)
	dst = appendPlace(dst, `,"from":"`, from.Offset, from.Check)
	dst = appendPlace(dst, `,"to":"`, to.Offset, to.Check)
	return append(dst, '}')
}

// AppendPong answers a ping. With an id, it says that all up to there went out.
func AppendPong(dst, ref []byte, offset uint64, check uint32) []byte {
	dst = append(dst, `{"type":"pong"`...)
	dst = appendPlace(dst, `,"id":"`, offset, check)
	return appendRef(dst, ref)
}

// appendRef appends the command's ref, a token, if it had one, and the end of
// the object.
func appendRef(dst, ref []byte) []byte {
	if len(ref) > 0 {
		dst = append(dst, `,"ref":`...)
		dst = append(dst, ref...)
	}
	return append(dst, '}')
}
