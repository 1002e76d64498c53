package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"warren/internal/child"
)

// node is one gateway process.
type node struct {
	name    string
	addr    string
	admin   string // address of its admin listener
	process *child.Process
}

// ports are what the nodes get if they are free, for clients and for programs
// that publish over HTTP.
var ports = map[string]struct{ listen, admin int }{
	"node1": {3000, 3001},
	"node2": {3002, 3003},
}

// startNode runs binary. dir has no config.yaml for it to find.
func startNode(name, binary, dir, amqpURL string, output io.Writer) (*node, error) {
	addr, err := freeAddr(ports[name].listen)
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr(ports[name].admin)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "--config", os.DevNull, "--listen", addr, "--admin-listen", admin, "--node", name)
	cmd.Dir = dir
	// Not as a flag: it holds a password, and anyone may list processes.
	cmd.Env = append(os.Environ(), "WARREN_AMQP_URL="+amqpURL)
	cmd.Stdout, cmd.Stderr = output, output
	process, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	return &node{name: name, addr: addr, admin: admin, process: process}, nil
}

// freeAddr is an address of this machine where nobody listens, with preferred
// as its port if possible.
func freeAddr(preferred int) (string, error) {
	for port := preferred; ; port = 10000 + rand.IntN(20000) { // below where outgoing connections get theirs
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
		if !inUse(err) {
			return "", fmt.Errorf("looking for a free port: %w", err)
		}
	}
}

// awaitReady waits until the node says that it is ready.
func (n *node) awaitReady(ctx context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		last := n.askReady(ctx, client)
		if last == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-n.process.Done():
			return n.ended()
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s on %s to be ready: %w (last: %w)", n.name, n.addr, ctx.Err(), last)
		}
	}
}

func (n *node) askReady(ctx context.Context, client *http.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	why, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return fmt.Errorf("%s: %s", response.Status, why)
}

// ended says how the node did, after it has.
func (n *node) ended() error {
	err := n.process.Err()
	if err == nil {
		err = errors.New("status 0")
	}
	return fmt.Errorf("%s ended: %w; its log above says why", n.name, err)
}
