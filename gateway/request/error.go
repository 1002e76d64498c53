package request

import (
	"net/http"
	"strconv"
)

// Error is a refusal. The connection closes after it.
//
// Functions here return *Error itself: put into a variable of type error, a nil
// one is no longer nil.
type Error struct {
	Status int    // of HTTP
	Reason string // one line

	response string
}

// Refusals that are up to the caller. Parse has its own.
var (
	// ErrOrigin: Origins.Allow says no.
	ErrOrigin = refuse(403, "origin not allowed: pages of other hosts must be listed in websocket.origins")
	// ErrPath: a WebSocket is asked for where there is none.
	ErrPath = refuse(404, "no WebSocket at this path")
	// ErrChannel: ValidChannel says no.
	ErrChannel = refuse(404, "no such channel: a name is 1 to 200 bytes of A-Z a-z 0-9 . _ : - ~ /, without empty segments, not percent-encoded")
	// ErrHistory: the query's history is no number.
	ErrHistory = refuse(400, "bad query: history must be a number of messages, as in history=100, and stand there once")
	// ErrSince: the query's since is no id.
	ErrSince = refuse(400, "bad query: since must be the id of a message, as in since=1042-7f3a90c1, and stand there once")
	// ErrSession: the query's session is none.
	ErrSession = refuse(400, "bad query: session must be 16 to 64 characters of A-Z a-z 0-9 - _, and stand there once")
	// ErrMethod: an event stream is asked for by something else than GET.
	ErrMethod = refuse(405, "an event stream must be asked for by GET", "Allow: GET")
	// ErrUpgradeRequired: a plain request to a channel.
	ErrUpgradeRequired = refuse(426, "this is a WebSocket: connect with Upgrade: websocket", offer...)
	// ErrTooLarge: MaxHead bytes and no end.
	ErrTooLarge = refuse(431, "the request head is over "+strconv.Itoa(MaxHead)+" bytes")
	// ErrFull: as many clients as the node may have.
	ErrFull = refuse(503, "this node has all the clients it may have: come back later", retryAfter)
	// ErrNotLinked: the node takes no clients yet.
	ErrNotLinked = refuse(503, "this node has not reached its exchange yet: come back later", retryAfter)
	// ErrBehind: the client knows what the node can't read at present.
	ErrBehind = refuse(503, "this node has not read as far as that id yet, and is not linked to its exchange: come back later", retryAfter)
	// ErrStopping: the node takes no new clients.
	ErrStopping = refuse(503, "this node is stopping: come back later", retryAfter)
)

// 426 must name the protocol (RFC 9110, 15.5.22), and a version that would be
// understood (RFC 6455, 4.4).
var offer = []string{"Upgrade: websocket", "Connection: Upgrade", versionOffer}

const (
	versionOffer = "Sec-WebSocket-Version: 13"
	retryAfter   = "Retry-After: 5" // seconds
)

// Refusals of Parse.
var (
	errNotWhole         = refuse(400, "the request head ends too early or too late")
	errRequestLine      = refuse(400, "malformed request line: must be METHOD TARGET HTTP/1.1")
	errTarget           = refuse(400, "bad request target: must be /path, or http://host/path, of visible ASCII")
	errFragment         = refuse(400, "bad request target: it has a fragment")
	errEscape           = refuse(400, "bad request target: % must be followed by two hex digits")
	errBareLF           = refuse(400, "a line ends in LF without CR")
	errBareCR           = refuse(400, "CR without LF in a header field")
	errControl          = refuse(400, "control character in a header field")
	errFolded           = refuse(400, "a header line begins with white space")
	errSpaceBeforeColon = refuse(400, "white space before the colon of a header field")
	errFieldName        = refuse(400, "a header line has no valid name followed by a colon")
	errHostMissing      = refuse(400, "no Host header")
	errHostTwice        = refuse(400, "more than one Host header")
	errHost             = refuse(400, "bad Host header: must be host or host:port")
	errOriginTwice      = refuse(400, "more than one Origin header")
	errFraming          = refuse(400, "uncertain body length: repeated or contradictory Content-Length and Transfer-Encoding")

	errMethod         = refuse(400, "a WebSocket handshake must be a GET")
	errHTTP10         = refuse(400, "a WebSocket handshake needs HTTP/1.1: a proxy on the way may speak HTTP/1.0")
	errConnection     = refuse(400, "Upgrade without Connection: Upgrade: a proxy on the way may have dropped it")
	errConnections    = refuse(400, "several Connection headers, and not each lists Upgrade")
	errProtocols      = refuse(400, "Upgrade must name websocket, once and nothing else")
	errBody           = refuse(400, "a WebSocket handshake has no Content-Length and no Transfer-Encoding")
	errKeyMissing     = refuse(400, "no Sec-WebSocket-Key header")
	errLastEventTwice = refuse(400, "more than one Last-Event-ID header")
	errKeyTwice       = refuse(400, "more than one Sec-WebSocket-Key header")
	errKey            = refuse(400, "bad Sec-WebSocket-Key: must be base64 of 16 bytes")
	errVersionMissing = refuse(400, "no Sec-WebSocket-Version header", versionOffer)
	errVersionTwice   = refuse(400, "more than one Sec-WebSocket-Version header", versionOffer)
	errVersion        = refuse(426, "unsupported Sec-WebSocket-Version: must be 13", offer...)

	errHTTPVersion = refuse(505, "unsupported HTTP version: must be HTTP/1.1")
)

// refuse makes a refusal with extra header lines.
func refuse(status int, reason string, headers ...string) *Error {
	body := reason + "\n"
	r := "HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\n" +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n" +
		"Connection: close\r\n"
	for _, h := range headers {
		r += h + "\r\n"
	}
	return &Error{Status: status, Reason: reason, response: r + "\r\n" + body}
}

// Append appends the whole HTTP/1.1 response. It doesn't allocate if dst has
// room for 512 bytes.
func (e *Error) Append(dst []byte) []byte { return append(dst, e.response...) }

// Error is for logs.
func (e *Error) Error() string {
	return strconv.Itoa(e.Status) + " " + http.StatusText(e.Status) + ": " + e.Reason
}
