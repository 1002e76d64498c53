// Package port finds TCP ports for programs that tests start, and start again.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
)

// Port is a TCP port of 127.0.0.1 that others who use this package, in this
// process or another, leave alone until it is released, even while nobody
// listens on it.
type Port struct {
	number int
	claim  net.Listener // a name that the system frees with the process
}

// Below the range from which systems take the ports of outgoing connections:
// a program must find its port free again when it is restarted.
const low, high = 10000, 30000

// Reserve takes a port that is free.
func Reserve() (Port, error) {
	for range 1000 {
		n := low + rand.IntN(high-low)
		p := Port{number: n}
		if runtime.GOOS == "linux" {
			// An abstract socket (unix(7)): no file, one owner.
			claim, err := net.Listen("unix", "@warren-port-"+strconv.Itoa(n))
			if err != nil {
				continue
			}
			p.claim = claim
		}
		l, err := net.Listen("tcp", p.Addr())
		if err != nil {
			p.Release()
			continue
		}
		l.Close()
		return p, nil
	}
	return Port{}, fmt.Errorf("found no free TCP port between %d and %d", low, high)
}

// String is the number.
func (p Port) String() string { return strconv.Itoa(p.number) }

// Addr is "127.0.0.1:<number>".
func (p Port) Addr() string { return net.JoinHostPort("127.0.0.1", p.String()) }

// Release gives it up. It can be called twice.
func (p *Port) Release() {
	if p.claim != nil {
		p.claim.Close()
		p.claim = nil
	}
}
