package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"warren/internal/child"
)

// node is a warren process on the exchange of the test.
type node struct {
	*child.Process
	t      *testing.T
	name   string
	addr   string // "127.0.0.1:port"
	log    *logBuffer
	killed bool // by the test, with SIGKILL
}

// startNode returns once the node listens; it need not be ready. config is the
// text of its file. When the test ends it must stop in order.
func startNode(t *testing.T, name, amqpURL, config string) *node {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, name: name, log: &logBuffer{}}
	cmd := exec.Command(warren, "--config", file, "--listen", "127.0.0.1:0", "--node", name)
	cmd.Env = append(os.Environ(), "WARREN_AMQP_URL="+amqpURL, "WARREN_AMQP_EXCHANGE="+exchangeName(t),
		"GORACE=atexit_sleep_ms=0") // else each node takes a second more to end
	cmd.Stdout, cmd.Stderr = n.log, n.log
	var err error
	if n.Process, err = child.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.end)
	await(t, func() error {
		for _, line := range n.log.lines("msg=listening") {
			_, rest, _ := strings.Cut(line, "address=")
			n.addr, _, _ = strings.Cut(rest, " ")
			return nil
		}
		select {
		case <-n.Done():
			t.Fatalf("%s ended: %v", name, n.Err())
		default:
		}
		return fmt.Errorf("%s doesn't listen", name)
	})
	return n
}

// readyNode also waits until the node is ready.
func readyNode(t *testing.T, name, amqpURL, config string) *node {
	t.Helper()
	n := startNode(t, name, amqpURL, config)
	n.awaitReady()
	return n
}

func (n *node) end() {
	if err := n.Stop(syscall.SIGTERM, patience); err != nil {
		n.t.Error(err)
	}
	if err := n.Err(); err != nil && !n.killed {
		n.t.Errorf("%s ended: %v", n.name, err)
	}
	if len(n.log.lines("DATA RACE")) > 0 {
		n.t.Errorf("%s has a data race", n.name)
	}
	if n.t.Failed() {
		n.t.Logf("log of %s:\n%s", n.name, n.log)
	}
}

// kill ends the node without warning.
func (n *node) kill() {
	n.t.Helper()
	n.killed = true
	if err := n.Stop(syscall.SIGKILL, patience); err != nil {
		n.t.Fatal(err)
	}
}

// get asks for a path and returns status and body.
func (n *node) get(path string) (int, string) {
	n.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + n.addr + path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

// ready is nil if the node says that it is.
func (n *node) ready() error {
	n.t.Helper()
	if status, body := n.get("/readyz"); status != http.StatusOK {
		return fmt.Errorf("/readyz of %s: %d %s", n.name, status, body)
	}
	return nil
}

func (n *node) awaitReady() {
	n.t.Helper()
	await(n.t, n.ready)
}

// awaitUnready waits for a reason that holds all of parts.
func (n *node) awaitUnready(parts ...string) {
	n.t.Helper()
	await(n.t, func() error {
		status, body := n.get("/readyz")
		if status != http.StatusServiceUnavailable {
			return fmt.Errorf("/readyz of %s: %d", n.name, status)
		}
		for _, part := range parts {
			if !strings.Contains(body, part) {
				return fmt.Errorf("/readyz of %s says %q, without %q", n.name, body, part)
			}
		}
		return nil
	})
}

// queue is the name of the node's queue in RabbitMQ, by its log.
func (n *node) queue() string {
	n.t.Helper()
	lines := n.log.lines("attached to RabbitMQ")
	if len(lines) == 0 {
		n.t.Fatalf("%s never attached", n.name)
	}
	_, name, _ := strings.Cut(lines[len(lines)-1], "queue=")
	return name
}

// logBuffer is what a node prints.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines are the whole lines that hold part, without their ends.
func (l *logBuffer) lines(part string) (found []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, part) && strings.HasSuffix(line, "\n") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// twice returns the warnings that the node printed more than once, times apart.
func (l *logBuffer) twice() (again []string) {
	seen := map[string]bool{}
	for _, line := range l.lines("level=WARN") {
		_, said, _ := strings.Cut(line, " ")
		if seen[said] {
			again = append(again, said)
		}
		seen[said] = true
	}
	return again
}
