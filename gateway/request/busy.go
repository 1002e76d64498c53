package request

import (
	"math/rand/v2"
	"strconv"
)

// Refusals of a node that could, but at present doesn't.
var (
	// ErrDraining: the node is sending its clients away.
	ErrDraining = refuse(503, "this node is draining: come back at once, to another", "Retry-After: 1")
	// ErrNoPreface: a proxy is to begin with a PROXY protocol header, and doesn't.
	ErrNoPreface = refuse(400, "no PROXY protocol header: your address is in proxy.trusted and proxy.protocol is on, so begin with one (HAProxy: send-proxy-v2)")
	// ErrPreface: a PROXY protocol header can't be read.
	ErrPreface = refuse(400, "malformed PROXY protocol header: must be version 1 or 2")
	// ErrAddress: the client's address has as many clients as it may have.
	ErrAddress = refuse(429, "your address has all the clients it may have here: close one first", retryAfter)
)

// crowded differ in when to come back.
var crowded = func() (list [10]*Error) {
	for i := range list {
		list[i] = refuse(503, "too many clients come at once: come back later", "Retry-After: "+strconv.Itoa(i+1))
	}
	return list
}()

// Crowded refuses one of many that come at once, and gives each its own time to
// come back, 1 to 10 s.
func Crowded() *Error { return crowded[rand.IntN(len(crowded))] }
