package request

import (
	"bytes"
	"strconv"
)

// Query is what a WebSocket's query asks for.
type Query struct {
	History   int    // messages back from the last; -1 if it doesn't say
	Since     []byte // the id of a message, unchecked; nil if it doesn't say
	LastEvent []byte // Last-Event-ID of who can't set headers, unchecked; nil if it doesn't say
	Session   []byte // a secret of the client's, unchecked: see ValidSession; nil if it doesn't say
}

// maxHistoryDigits bounds the number of messages asked for to what fits.
const maxHistoryDigits = 9

// ValidSession says whether a session's name is 16 to 64 bytes of base64url: it
// must be hard to guess.
func ValidSession(name []byte) bool {
	return len(name) >= 16 && len(name) <= 64 && all(name, isSession)
}

// ParseQuery reads the query of a handshake: name=value, separated by "&".
// Names other than these are ignored: pages add tokens and numbers
// against caches. Nothing is decoded.
func ParseQuery(query []byte) (Query, *Error) {
	q := Query{History: -1}
	for len(query) > 0 {
		var field []byte
		field, query, _ = bytes.Cut(query, []byte{'&'})
		name, value, _ := bytes.Cut(field, []byte{'='})
		switch string(name) {
		case "history":
			if q.History >= 0 || len(value) > maxHistoryDigits || !all(value, isDigit) {
				return Query{}, ErrHistory
			}
			n, err := strconv.Atoi(string(value))
			if err != nil { // it is empty
				return Query{}, ErrHistory
			}
			q.History = n
		case "since":
			if q.Since != nil || len(value) == 0 {
				return Query{}, ErrSince
			}
			q.Since = value
		case "last-event-id", "lastEventId", "lastEventID": // by polyfills
			q.LastEvent = value
		case "session":
			if q.Session != nil {
				value = value[:0] // no valid one
			}
			q.Session = value
		}
	}
	return q, nil
}
