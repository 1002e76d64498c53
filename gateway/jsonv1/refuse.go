package jsonv1

import "strconv"

// Refusals of Parse. Messages are for who writes the client.
var (
	errNoType      = bad("no type: must be subscribe, unsubscribe, publish or ping")
	errType        = bad("unknown type: must be subscribe, unsubscribe, publish or ping")
	errRef         = bad("bad ref: must be a string of at most 64 bytes, or a whole number up to 2^53 in plain digits")
	errNoChannel   = bad(`no channel: must be its name, or "" for root`)
	errChannelKind = bad(`bad channel: must be a string, its name, or "" for root`)
	errSince       = bad(`bad since: must be the id of a message, as in "1042-7f3a90c1"`)
	errHistory     = bad("bad history: must be a number of messages, of at most 9 digits")
	errID          = bad("bad id: must be a string of 1 to 128 bytes")
	errPayload     = bad("publish must have one of data, text and base64")
	errText        = bad("bad text: must be a string")
	errBase64      = bad("bad base64: must be a string as in RFC 4648, 4, with padding and without line breaks")

	errChannel = &Error{Code: CodeBadChannel, Message: "no such channel: a name is 1 to 200 bytes of A-Z a-z 0-9 . _ : - ~ /, without empty segments"}

	errSurrogate = &Error{Code: CodeBadJSON, Message: "a string has half of a surrogate pair, which UTF-8 can't hold"}
)

func bad(message string) *Error { return &Error{Code: CodeBadMessage, Message: message} }

var twiceError = func() (t [fieldCount]*Error) {
	for which, name := range names {
		t[which] = bad("field " + name + " twice")
	}
	return t
}()

// syntaxError says where s stopped, in front of the end of an object.
func syntaxError(s *scanner) *Error {
	where := " at byte " + strconv.Itoa(s.at+1)
	message := "not one JSON object: unexpected character" + where
	switch {
	case s.deep:
		message = "nested over " + strconv.Itoa(MaxDepth) + " deep" + where
	case s.at == len(s.b):
		message = "not one JSON object: it ends too early"
	}
	return &Error{Code: CodeBadJSON, Message: message}
}
