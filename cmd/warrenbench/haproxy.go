//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// front is a HAProxy, in one configuration or another, before a node.
type front interface {
	String() string
	// start runs it and waits until clients get through. The node is the one
	// of both that is behind it. The caller stops it.
	start(ctx context.Context, b *bench, dir string, n behind) (t, node target, stop func() error, err error)
}

// behind are the nodes to choose from.
type behind struct {
	plain   target
	proxied target // must be told by PROXY protocol who the client is
}

// startBehind starts both. The one that wants the PROXY protocol gets it from
// HAProxy alone: all others here have addresses that it doesn't trust. The caller
// stops both at once.
func (b *bench) startBehind(ctx context.Context) (n behind, stop func() error, err error) {
	n.plain, stop, err = b.node(ctx, "")
	if err != nil {
		return n, nil, err
	}
	var stopProxied func() error
	n.proxied, stopProxied, err = b.node(ctx, "proxy: {protocol: true, trusted: [127.0.0.1/32]}\n")
	if err != nil {
		return n, nil, errors.Join(err, stop())
	}
	stopPlain := stop
	return n, func() error { return errors.Join(stopProxied(), stopPlain()) }, nil
}

// startHAProxy runs HAProxy with what config makes of the address to listen on,
// and waits until clients get through. dir takes the file. The caller stops it.
func (b *bench) startHAProxy(ctx context.Context, dir, name string, config func(addr string) string) (t target, stop func() error, err error) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return t, nil, errors.New("haproxy not found: install HAProxy 2.6 or later (Debian: apt-get install haproxy)")
	}
	addr, err := freePort()
	if err != nil {
		return t, nil, err
	}
	t = target{name: name, addr: addr, path: defaultPath}
	file := filepath.Join(dir, fmt.Sprintf("haproxy-%d.cfg", addr.Port()))
	if err := os.WriteFile(file, []byte(config(addr.String())), 0o600); err != nil {
		return t, nil, fmt.Errorf("write HAProxy's configuration: %w", err)
	}
	// -db: in the foreground, one process. -dW: a warning is an error.
	cmd := exec.Command(path, "-db", "-dW", "-f", file)
	cmd.Stderr = b.log
	p, err := startProcess(cmd, false)
	if err != nil {
		return t, nil, err
	}
	t.pids = []int{p.pid()}
	if err := t.awaitUpgrade(ctx, p); err != nil {
		return t, nil, errors.Join(fmt.Errorf("start HAProxy, %s: %w", name, err), p.kill())
	}
	return t, func() error { return terminate(p) }, nil
}
