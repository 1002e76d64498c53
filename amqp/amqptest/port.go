package amqptest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
)

// port is a TCP port that other Servers, in this process or another, leave
// alone until it is released, even while nobody listens on it.
type port struct {
	number int
	claim  net.Listener // a name that the system frees with the process
}

// Below the range from which systems take the ports of outgoing connections:
// a node must find its ports free again when it is restarted.
const lowPort, highPort = 10000, 30000

func reservePort() (port, error) {
	for range 1000 {
		n := lowPort + rand.IntN(highPort-lowPort)
		p := port{number: n}
		if runtime.GOOS == "linux" {
			// An abstract socket (unix(7)): no file, one owner.
			claim, err := net.Listen("unix", "@warren-amqptest-"+strconv.Itoa(n))
			if err != nil {
				continue
			}
			p.claim = claim
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n)))
		if err != nil {
			p.release()
			continue
		}
		l.Close()
		return p, nil
	}
	return port{}, errors.New("found no free TCP port for RabbitMQ between " + fmt.Sprint(lowPort, " and ", highPort))
}

func (p port) String() string { return strconv.Itoa(p.number) }

func (p *port) release() {
	if p.claim != nil {
		p.claim.Close()
		p.claim = nil
	}
}
