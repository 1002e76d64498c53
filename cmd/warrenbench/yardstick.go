//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"time"
)

// yardstick is a running bare.
type yardstick struct {
	target
	process *process
	in      *os.File // its standard input
}

// startYardstick starts this program again, as bare. The caller stops it.
func startYardstick(payloadSize int, echoes bool, stderr io.Writer) (*yardstick, error) {
	p, in, err := startSelf(stderr, bareCommand, fmt.Sprintf("-size=%d", payloadSize), fmt.Sprintf("-echo=%t", echoes))
	if err != nil {
		return nil, fmt.Errorf("start the yardstick: %w", err)
	}
	y := &yardstick{process: p, in: in, target: target{name: "yardstick", path: "/", pids: []int{p.pid()}}}
	select {
	case line := <-p.lines:
		y.addr, err = netip.ParseAddrPort(line)
	case <-p.done:
		err = fmt.Errorf("ended: %w", p.err)
	case <-time.After(startLimit):
		err = fmt.Errorf("no address printed within %v", startLimit)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the yardstick: %w", err), y.stop())
	}
	return y, nil
}

// stop closes its input.
func (y *yardstick) stop() error { return y.process.stop(y.in.Close) }

func (y *yardstick) tell(what byte) error {
	if _, err := y.in.Write([]byte{what}); err != nil {
		return fmt.Errorf("tell the yardstick %q: %w", what, err)
	}
	return nil
}

// rounds is a source: the yardstick's own writes.
type rounds struct {
	y        *yardstick
	n        int64
	flooding bool // until the count of the flood has come
}

func (r *rounds) one() error {
	r.n++
	return r.y.tell(tellRound)
}

func (r *rounds) flood() error {
	r.flooding = true
	return r.y.tell(tellFlood)
}

func (r *rounds) halt() error { return r.y.tell(tellHalt) }

func (r *rounds) sent() (int64, bool) {
	if !r.flooding {
		return r.n, true
	}
	select {
	case line := <-r.y.process.lines:
		// A line that is no number leaves the count too low: the run
		// fails because clients have more than was sent.
		n, _ := strconv.ParseInt(line, 10, 64)
		r.n += n
		r.flooding = false
		return r.n, true
	default:
		return r.n, false
	}
}
