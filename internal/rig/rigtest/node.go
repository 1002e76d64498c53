package rigtest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"warren/internal/rig"
)

// Node is a rig.Node on the exchange of the test.
type Node struct {
	*rig.Node
	t      testing.TB
	killed atomic.Bool // by the test, with SIGKILL, and not started since
}

// StartNode returns once the node listens; it need not be ready. amqpURL may be
// several, comma-separated; config is the text of the node's file. When the test
// ends it must stop in order.
func StartNode(t testing.TB, name, amqpURL, config string) *Node {
	t.Helper()
	url := "WARREN_AMQP_URL="
	if strings.Contains(amqpURL, ",") {
		url = "WARREN_AMQP_URLS="
	}
	r, err := rig.NewNode(rig.NodeOptions{
		Binary: Programs.Warren,
		Dir:    t.TempDir(),
		Name:   name,
		Config: config,
		Env: []string{
			url + amqpURL,
			"WARREN_AMQP_EXCHANGE=" + Exchange(t),
			"WARREN_AMQP_STREAM_NAME=" + Stream(t),
		},
	})
	Check(t, err)
	n := &Node{Node: r, t: t}
	t.Cleanup(n.end)
	n.Restart()
	return n
}

// ReadyNode also waits until the node is ready.
func ReadyNode(t testing.TB, name, amqpURL, config string) *Node {
	t.Helper()
	n := StartNode(t, name, amqpURL, config)
	n.AwaitReady()
	return n
}

// Restart starts an ended node again.
func (n *Node) Restart() {
	n.t.Helper()
	ctx, cancel := Context(n.t)
	defer cancel()
	Check(n.t, n.Start(ctx))
	n.killed.Store(false)
}

// Kill ends the node without warning.
func (n *Node) Kill() {
	n.t.Helper()
	n.killed.Store(true)
	Check(n.t, n.Node.Kill())
}

func (n *Node) end() {
	if err := n.Interrupt(Patience); err != nil {
		n.t.Error(err)
	}
	if err := n.Err(); err != nil && !n.killed.Load() {
		n.t.Errorf("%s ended: %v", n.Name, err)
	}
	if len(n.Log.Lines("DATA RACE")) > 0 {
		n.t.Errorf("%s has a data race", n.Name)
	}
	if n.t.Failed() {
		n.t.Logf("log of %s:\n%s", n.Name, n.Log)
	}
	if err := n.Close(); err != nil {
		n.t.Error(err)
	}
}

// Get asks for a path and returns status and body.
func (n *Node) Get(path string) (int, string) {
	n.t.Helper()
	ctx, cancel := Context(n.t)
	defer cancel()
	status, body, err := n.Node.Get(ctx, path)
	Check(n.t, err)
	return status, body
}

// AwaitReady waits until the node says that it is ready.
func (n *Node) AwaitReady() {
	n.t.Helper()
	ctx, cancel := Context(n.t)
	defer cancel()
	Check(n.t, n.Node.AwaitReady(ctx))
}

// AwaitUnready waits for a reason that holds all of parts.
func (n *Node) AwaitUnready(parts ...string) {
	n.t.Helper()
	Await(n.t, func() error {
		status, body := n.Get("/readyz")
		if status != http.StatusServiceUnavailable {
			return fmt.Errorf("/readyz of %s: %d", n.Name, status)
		}
		for _, part := range parts {
			if !strings.Contains(body, part) {
				return fmt.Errorf("/readyz of %s says %q, without %q", n.Name, body, part)
			}
		}
		return nil
	})
}

// Queue is the name of the node's queue in RabbitMQ, by its log.
func (n *Node) Queue() string {
	n.t.Helper()
	lines := n.Log.Lines("attached to RabbitMQ")
	if len(lines) == 0 {
		n.t.Fatalf("%s never attached", n.Name)
	}
	_, name, _ := strings.Cut(lines[len(lines)-1], "queue=")
	return name
}

// Says checks how many lines of the node's log hold each of the parts, and that
// no warning came twice.
func (n *Node) Says(parts map[string]int) {
	n.t.Helper()
	for part, want := range parts {
		if lines := n.Log.Lines(part); len(lines) != want {
			n.t.Errorf("%s logged %q %d times, want %d", n.Name, part, len(lines), want)
		}
	}
	if again := n.Log.Twice(); len(again) > 0 {
		n.t.Errorf("%s logged more than once: %q", n.Name, again)
	}
}

// AwaitLost waits until the node has counted so many messages as lost, by holes
// in the publishers' numbering. It adds up for some seconds.
func (n *Node) AwaitLost(want int) {
	n.t.Helper()
	Await(n.t, func() error {
		sum := 0
		for _, line := range n.Log.Lines("messages were lost") {
			_, count, _ := strings.Cut(line, "count=")
			number, err := strconv.Atoi(count)
			if err != nil {
				return rig.Never(err)
			}
			sum += number
		}
		if sum != want {
			return fmt.Errorf("%s counted %d messages as lost, its clients lack %d", n.Name, sum, want)
		}
		return nil
	})
}
