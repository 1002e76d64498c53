// Package poll waits for readiness of many file descriptors: a level-triggered
// poller for one goroutine, over epoll on Linux and kqueue on macOS and the
// BSDs.
package poll

// Interest is what to be told of. Hang-ups and errors are always told by epoll;
// by kqueue only while something is watched.
type Interest uint8

const (
	Read Interest = 1 << iota
	Write
)

// Event tells what a descriptor is ready for. Token is what it was added
// with; descriptors are reused, so a token should name more than one.
type Event struct {
	Token    uint64
	Readable bool
	Writable bool
	Hangup   bool // reset, or shut down in both directions
}

// wakeToken marks events of Wake; no caller may use it.
const wakeToken = ^uint64(0)
