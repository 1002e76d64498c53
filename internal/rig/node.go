package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"warren/internal/child"
	"warren/internal/port"
)

// NodeOptions says how a node is run.
type NodeOptions struct {
	Binary string // of cmd/warren
	Dir    string // gets the configuration file
	Name   string
	Config string   // the file's text
	Env    []string // beside our own environment
}

// Node is a warren process that can be ended and started again, under its name
// and on its ports.
type Node struct {
	Name string
	Log  *Log

	// Static after NewNode.
	o     NodeOptions
	port  port.Port
	admin port.Port
	file  string

	mu      sync.Mutex
	process *child.Process // guarded by mu; the latest, nil before the first
}

// NewNode starts nothing yet. Close gives back what it takes.
func NewNode(o NodeOptions) (*Node, error) {
	n := &Node{Name: o.Name, Log: &Log{}, o: o, file: filepath.Join(o.Dir, o.Name+".yaml")}
	if err := os.WriteFile(n.file, []byte(o.Config), 0o600); err != nil {
		return nil, fmt.Errorf("configuring %s: %w", o.Name, err)
	}
	var err error
	if n.port, err = port.Reserve(); err != nil {
		return nil, err
	}
	if n.admin, err = port.Reserve(); err != nil {
		n.port.Release()
		return nil, err
	}
	return n, nil
}

// Addr is where it listens, "127.0.0.1:port".
func (n *Node) Addr() string { return n.port.Addr() }

// Admin is where its admin listener is, "127.0.0.1:port".
func (n *Node) Admin() string { return n.admin.Addr() }

// drains finds the section of a configuration that says how a node leaves.
var drains = regexp.MustCompile(`(?m)^drain:`)

// Start runs the node and returns once it listens; it need not be ready. Unless
// its configuration says otherwise it leaves without a delay, when it has to.
func (n *Node) Start(ctx context.Context) error {
	cmd := exec.Command(n.o.Binary, "--config", n.file, "--listen", n.Addr(), "--admin-listen", n.Admin(), "--node", n.Name)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else the race detector takes a second to end
	if !drains.MatchString(n.o.Config) {
		cmd.Env = append(cmd.Env, "WARREN_DRAIN_DELAY=0s", "WARREN_DRAIN_PERIOD=0s") // by default it is 40 s
	}
	cmd.Env = append(cmd.Env, n.o.Env...)
	cmd.Stdout, cmd.Stderr = n.Log, n.Log
	p, err := child.Start(cmd)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.process = p
	n.mu.Unlock()
	return n.awaitStatus(ctx, "/healthz")
}

// AwaitReady waits until the node says that it is ready.
func (n *Node) AwaitReady(ctx context.Context) error { return n.awaitStatus(ctx, "/readyz") }

// awaitStatus waits until a GET of path answers 200, of the admin listener: the
// other may want headers of the PROXY protocol.
func (n *Node) awaitStatus(ctx context.Context, path string) error {
	return Await(ctx, func() error {
		select {
		case <-n.Done():
			return Never(n.ended())
		default:
		}
		status, body, err := n.get(ctx, n.Admin(), path)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("%s of %s: %d %s", path, n.Name, status, body)
		}
		return nil
	})
}

func (n *Node) ended() error {
	err := n.Err()
	if err == nil {
		err = errors.New("status 0")
	}
	return fmt.Errorf("%s ended: %w", n.Name, err)
}

// getTimeout is for one answer; machines that run tests are busy.
const getTimeout = 30 * time.Second

// Get asks for path and returns status and body.
func (n *Node) Get(ctx context.Context, path string) (status int, body string, err error) {
	return n.get(ctx, n.Addr(), path)
}

func (n *Node) get(ctx context.Context, addr, path string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	client := http.Client{Timeout: getTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return 0, "", fmt.Errorf("asking %s: %w", n.Name, err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", fmt.Errorf("asking %s for %s: %w", n.Name, path, err)
	}
	return response.StatusCode, string(b), nil
}

func (n *Node) current() *child.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// Pid is that of the latest process.
func (n *Node) Pid() int { return n.current().Pid() }

// Done is closed when the latest process has ended.
func (n *Node) Done() <-chan struct{} { return n.current().Done() }

// Err says how the latest process ended, once Done is closed: nil for status 0.
func (n *Node) Err() error { return n.current().Err() }

// Stop asks the node to leave (SIGTERM) and waits until it has; after grace it
// kills it, and the error says so.
func (n *Node) Stop(grace time.Duration) error { return n.current().Stop(syscall.SIGTERM, grace) }

// Interrupt asks the node to leave at once (SIGINT): it doesn't drain. It waits as
// Stop does.
func (n *Node) Interrupt(grace time.Duration) error { return n.current().Stop(syscall.SIGINT, grace) }

// Signal sends the node a signal, if it runs.
func (n *Node) Signal(sig syscall.Signal) error {
	select {
	case <-n.Done():
		return n.ended()
	default:
		return syscall.Kill(n.Pid(), sig)
	}
}

// Kill ends the node at once (SIGKILL).
func (n *Node) Kill() error { return n.current().Stop(syscall.SIGKILL, getTimeout) }

// Close kills what runs and gives the ports back.
func (n *Node) Close() error {
	n.port.Release()
	n.admin.Release()
	if n.current() == nil {
		return nil
	}
	return n.Kill()
}
