// Package haproxytest runs a real HAProxy with the configuration that is
// shipped, for tests and demonstrations.
package haproxytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"warren/haproxy"
	"warren/internal/child"
)

const (
	// pollInterval is how often a starting proxy is asked.
	pollInterval = 50 * time.Millisecond
	// stopGrace is what HAProxy gets after SIGTERM, on which it doesn't wait
	// for its tunnels.
	stopGrace = 10 * time.Second
)

// Options says where to listen and what lies behind.
type Options struct {
	// Listen is where clients connect, "host:port"; 127.0.0.1 and a free port.
	Listen string
	// Nodes are the two gateways, "host:port".
	Nodes [2]string
	// Output gets what HAProxy prints, its log included; nobody. One
	// goroutine writes.
	Output io.Writer
}

// Proxy is a running HAProxy.
type Proxy struct {
	addr    string
	dir     string
	process *child.Process
	output  *recorder
}

// Start runs HAProxy. It returns once it accepts and, by its own checks, knows
// for each node whether it is ready; at least one must be, or ctx ends. Stop
// ends it.
func Start(ctx context.Context, o Options) (*Proxy, error) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, errors.New("haproxy not found: install HAProxy 2.6 or later (Debian: apt-get install haproxy)")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	// We bind and HAProxy inherits: no port is picked that someone else may
	// take, and connections queue from here on.
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for HAProxy: %w", err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, fmt.Errorf("handing %s to HAProxy: %w", listener.Addr(), err)
	}
	defer file.Close()

	p := &Proxy{addr: listener.Addr().String(), output: &recorder{w: o.Output}}
	// Not t.TempDir's long names: a socket's path has at most some 100 bytes.
	if p.dir, err = os.MkdirTemp("", "haproxy-"); err != nil {
		return nil, fmt.Errorf("making a folder for HAProxy: %w", err)
	}
	if err := p.start(path, file, o.Nodes); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	if err := p.awaitChecks(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Proxy) start(path string, listener *os.File, nodes [2]string) error {
	// The second file only adds the socket by which we look inside.
	extra := fmt.Sprintf("global\n    stats socket %s mode 600 level admin\n", p.socket())
	files := map[string][]byte{"haproxy.cfg": haproxy.Config, "extra.cfg": []byte(extra)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
			return fmt.Errorf("configuring HAProxy: %w", err)
		}
	}
	// -db: in the foreground, one process. -dW: a warning is an error.
	cmd := exec.Command(path, "-db", "-dW", "-f", filepath.Join(p.dir, "haproxy.cfg"), "-f", filepath.Join(p.dir, "extra.cfg"))
	cmd.Env = append(os.Environ(),
		haproxy.EnvBind+"=fd@3", // the first of ExtraFiles
		haproxy.EnvNode1+"="+nodes[0],
		haproxy.EnvNode2+"="+nodes[1],
	)
	cmd.ExtraFiles = []*os.File{listener}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	var err error
	p.process, err = child.Start(cmd)
	return err
}

// awaitChecks waits until every node has been checked and one is ready.
func (p *Proxy) awaitChecks(ctx context.Context) error {
	return p.await(ctx, "its checks to find a node ready", func(nodes []Node) bool {
		ready := false
		for _, n := range nodes {
			if !n.checked() {
				return false
			}
			ready = ready || n.Up
		}
		return ready
	})
}

// Await waits until HAProxy sees node 1 or 2 as up, or as down.
func (p *Proxy) Await(ctx context.Context, node int, up bool) error {
	what := fmt.Sprintf("node%d to be %s", node, map[bool]string{true: "up", false: "down"}[up])
	return p.await(ctx, what, func(nodes []Node) bool { return nodes[node-1].Up == up })
}

func (p *Proxy) await(ctx context.Context, what string, ok func([]Node) bool) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		nodes, err := p.Nodes()
		if err == nil && ok(nodes) {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.process.Done():
			return fmt.Errorf("HAProxy ended (%v): %s", p.process.Err(), p.output.tail())
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%+v", nodes)
			}
			return fmt.Errorf("waiting for %s: %w (last: %v); HAProxy says: %s", what, ctx.Err(), err, p.output.tail())
		}
	}
}

// Addr is where clients connect, "host:port".
func (p *Proxy) Addr() string { return p.addr }

// Pid is HAProxy's process.
func (p *Proxy) Pid() int { return p.process.Pid() }

// Done is closed when HAProxy has ended, by itself or by Stop.
func (p *Proxy) Done() <-chan struct{} { return p.process.Done() }

// Err says why HAProxy ended, once Done is closed.
func (p *Proxy) Err() error {
	if err := p.process.Err(); err != nil {
		return fmt.Errorf("HAProxy ended: %w: %s", err, p.output.tail())
	}
	return nil
}

// Output is the end of what HAProxy has printed.
func (p *Proxy) Output() string { return p.output.tail() }

// Stop ends HAProxy with every connection, and waits for it.
func (p *Proxy) Stop() error {
	return errors.Join(p.process.Stop(syscall.SIGTERM, stopGrace), os.RemoveAll(p.dir))
}

// recorder keeps the end of what passes through it.
type recorder struct {
	mu   sync.Mutex
	w    io.Writer
	last []byte
}

const recorded = 16 << 10

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = append(r.last, b...)
	r.last = r.last[max(0, len(r.last)-recorded):]
	if r.w == nil {
		return len(b), nil
	}
	return r.w.Write(b)
}

func (r *recorder) tail() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.TrimSpace(string(r.last))
}
