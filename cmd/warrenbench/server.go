//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit  = 20 * time.Second
	defaultPath = "/ws/bench"
)

// target is what clients connect to.
type target struct {
	name string
	addr netip.AddrPort
	path string
	json bool  // clients ask for the JSON protocol
	pids []int // whose CPU and memory count; none if unknown

	process *process // if it is ours
}

// buildServer compiles the gateway into dir. It must run inside the module.
func buildServer(ctx context.Context, dir string, stderr io.Writer) (binary string, err error) {
	binary = filepath.Join(dir, "warren")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "warren/cmd/warren")
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the gateway: %w (run inside the module, or give -server)", err)
	}
	return binary, nil
}

// startServer runs the gateway at binary on a free loopback port with settings,
// lines of its configuration, and waits until it is ready for connections. dir
// takes the configuration. The caller stops it.
func startServer(ctx context.Context, binary, dir, settings string, stderr io.Writer) (target, *process, error) {
	t := target{name: "server", path: defaultPath}
	addr, err := freePort()
	if err != nil {
		return t, nil, err
	}
	t.addr = addr
	config := filepath.Join(dir, fmt.Sprintf("warrenbench-%d.yaml", addr.Port()))
	text := fmt.Sprintf("listen: %q\nadmin: {listen: \"\"}\nlog: {level: warn}\n%s", addr, settings)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return t, nil, fmt.Errorf("write the gateway's configuration: %w", err)
	}
	cmd := exec.Command(binary, "--config", config)
	cmd.Env = serverEnvironment(os.Environ())
	cmd.Stdout, cmd.Stderr = stderr, stderr
	p, err := startProcess(cmd, false)
	if err != nil {
		return t, nil, err
	}
	t.pids, t.process = []int{p.pid()}, p
	if err := t.awaitUpgrade(ctx, p); err != nil {
		return t, nil, errors.Join(fmt.Errorf("start %s: %w", binary, err), p.kill())
	}
	return t, p, nil
}

// terminate stops a server at once: SIGTERM would have it drain.
func terminate(p *process) error {
	return p.stop(func() error { return p.cmd.Process.Signal(syscall.SIGINT) })
}

// freePort picks a loopback port. Another program may take it before the
// server does: then the server says so and the run fails.
func freePort() (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}

// serverEnvironment is env without the settings of other gateways here, above
// all the address of a RabbitMQ.
func serverEnvironment(env []string) []string {
	var kept []string
	for _, e := range env {
		if !strings.HasPrefix(e, "WARREN_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// awaitUpgrade asks until one WebSocket handshake succeeds.
func (t target) awaitUpgrade(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		err := newDialer(t).dialAndClose(ctx, 1)
		if err == nil {
			return nil
		}
		select {
		case <-every.C:
		case <-p.done:
			return fmt.Errorf("it ended before it accepted connections: %v", p.err)
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w", startLimit, err)
		}
	}
}

// on is the same server with another path.
func (t target) on(path string) target {
	t.path = path
	return t
}

// speaking is the same server for clients that ask for the JSON protocol, or not.
func (t target) speaking(json bool) target {
	t.json = json
	return t
}

// parseURL is for a server that runs already: ws://127.0.0.1:3000/ws/bench.
func parseURL(raw string, pids []int) (target, error) {
	t := target{name: "server", pids: pids}
	u, err := url.Parse(raw)
	if err != nil {
		return t, fmt.Errorf("-url %q: %w", raw, err)
	}
	if u.Scheme != "ws" || u.Port() == "" {
		return t, fmt.Errorf("-url %q: must be ws://127.0.0.1:PORT/PATH", raw)
	}
	addr, err := netip.ParseAddrPort(strings.Replace(u.Host, "localhost:", "127.0.0.1:", 1))
	if err != nil || !addr.Addr().Is4() || !addr.Addr().IsLoopback() {
		return t, fmt.Errorf("-url %q: must be an IPv4 loopback address: the load is for this machine only", raw)
	}
	t.addr, t.path = addr, u.RequestURI()
	return t, nil
}
