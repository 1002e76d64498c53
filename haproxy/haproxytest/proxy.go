// Package haproxytest runs a real HAProxy with the configurations that are
// shipped, for tests and demonstrations.
package haproxytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	// maxConn is less than the file's: HAProxy doesn't start if it can't have
	// two descriptors for each.
	maxConn = "4000"
	// perAddress is more than the file's: tests' clients share an address.
	perAddress = "1000000"
	// noAgent is a port where nobody answers (TCPMUX, RFC 1078).
	noAgent = "1"
)

// Options says what runs, where it listens and what lies behind.
type Options struct {
	Form Form
	// Listen is where clients connect, "host:port"; 127.0.0.1 and a free port.
	Listen string
	// Nodes are the two gateways, "host:port".
	Nodes [2]string
	// Agents are the nodes' agents, "host:port". The host is the node's own.
	// Empty: nobody answers.
	Agents [2]string
	// Env has more of the files' variables, "NAME=value". They win.
	Env []string
	// Edit changes the configuration, for what stands in it as a comment; nil:
	// as it is shipped.
	Edit func(string) string
	// Output gets what HAProxy prints, its log included; nobody. One
	// goroutine writes.
	Output io.Writer
}

// Proxy is a running HAProxy.
type Proxy struct {
	addr, redirect, metrics string
	certificate             *certificate // nil: no TLS
	dir                     string
	process                 *child.Process
	output                  *recorder
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
	p := &Proxy{output: &recorder{w: o.Output}}
	// We bind and HAProxy inherits: no port is picked that someone else may
	// take, and connections queue from here on.
	var sockets inherited
	defer sockets.close()
	p.addr = sockets.listen(o.Listen, haproxy.EnvBind)
	if o.Form != Tutorial {
		p.redirect = sockets.listen("127.0.0.1:0", haproxy.EnvBindHTTP)
		p.metrics = sockets.listen("127.0.0.1:0", haproxy.EnvMetrics)
	}
	if sockets.err != nil {
		return nil, sockets.err
	}
	if o.Form.secure() {
		if p.certificate, err = newCertificate(); err != nil {
			return nil, fmt.Errorf("making a certificate: %w", err)
		}
	}
	// Not t.TempDir's long names: a socket's path has at most some 100 bytes.
	if p.dir, err = os.MkdirTemp("", "haproxy-"); err != nil {
		return nil, fmt.Errorf("making a folder for HAProxy: %w", err)
	}
	if err := p.start(path, &sockets, o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	if err := p.awaitChecks(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// inherited are listening sockets that HAProxy gets as open files.
type inherited struct {
	files []*os.File
	env   []string // which variable names which
	err   error    // the first
}

// listen binds addr for the file's variable, and says where it is.
func (i *inherited) listen(addr, variable string) string {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		i.err = cmp.Or(i.err, fmt.Errorf("listening for HAProxy: %w", err))
		return ""
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		i.err = cmp.Or(i.err, fmt.Errorf("handing %s to HAProxy: %w", listener.Addr(), err))
		return ""
	}
	i.env = append(i.env, fmt.Sprintf("%s=fd@%d", variable, 3+len(i.files))) // behind the standard three
	i.files = append(i.files, file)
	return listener.Addr().String()
}

func (i *inherited) close() {
	for _, f := range i.files {
		f.Close()
	}
}

func (p *Proxy) start(path string, sockets *inherited, o Options) error {
	config, err := o.Form.config()
	if err != nil {
		return err
	}
	if o.Edit != nil {
		config = o.Edit(config)
	}
	// The second file gives the plain one the socket by which we look inside.
	extra := ""
	if o.Form == Tutorial {
		extra = fmt.Sprintf("global\n    stats socket %s mode 600 level admin\n", p.socket())
	}
	files := map[string]string{"haproxy.cfg": config, "extra.cfg": extra}
	if c := p.certificate; c != nil {
		files["cert.pem"] = string(c.cert) + string(c.key)
		files["ca.pem"] = string(c.cert)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("configuring HAProxy: %w", err)
		}
	}
	// -db: in the foreground, one process. -dW: a warning is an error.
	cmd := exec.Command(path, "-db", "-dW", "-f", filepath.Join(p.dir, "haproxy.cfg"), "-f", filepath.Join(p.dir, "extra.cfg"))
	cmd.Env = slices.Concat(os.Environ(), sockets.env, []string{
		haproxy.EnvNode1 + "=" + o.Nodes[0],
		haproxy.EnvNode2 + "=" + o.Nodes[1],
		haproxy.EnvAgent1 + "=" + port(o.Agents[0]),
		haproxy.EnvAgent2 + "=" + port(o.Agents[1]),
		haproxy.EnvCert + "=" + filepath.Join(p.dir, "cert.pem"),
		haproxy.EnvSocket + "=" + p.socket(),
		haproxy.EnvMaxConn + "=" + maxConn,
		haproxy.EnvConns + "=" + perAddress,
		haproxy.EnvConnRate + "=" + perAddress,
		haproxy.EnvTunnels + "=" + perAddress,
		haproxy.EnvRootless + "=1",
	}, o.Env)
	cmd.ExtraFiles = sockets.files
	cmd.Stdout, cmd.Stderr = p.output, p.output
	p.process, err = child.Start(cmd)
	return err
}

// port is an agent's, or one where nobody answers.
func port(agent string) string {
	if _, p, err := net.SplitHostPort(agent); err == nil {
		return p
	}
	return noAgent
}

// Addr is where clients connect, "host:port".
func (p *Proxy) Addr() string { return p.addr }

// RedirectAddr is where http is sent on to https; MetricsAddr has /metrics and
// /stats. The tutorial has neither.
func (p *Proxy) RedirectAddr() string { return p.redirect }
func (p *Proxy) MetricsAddr() string  { return p.metrics }

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
