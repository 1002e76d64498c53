package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// visitor is a client of the JSON protocol that comes again whenever it has
// left. Every visit must succeed.
type visitor struct {
	url  string
	stay bool // until the node closes it; else it leaves at once

	mu  sync.Mutex
	met map[string]int // guarded by mu: visits by node
	new chan struct{}  // of capacity 1: there was a visit
}

// come comes again and again until ctx ends.
func (v *visitor) come(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		if err := v.visit(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("a visit of one who stays (%v): %v", v.stay, err)
			return
		}
	}
}

func (v *visitor) visit(ctx context.Context) error {
	conn, _, err := websocket.Dial(ctx, v.url, &websocket.DialOptions{Subprotocols: []string{"warren.v1.json"}})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	_, text, err := conn.Read(ctx)
	if err != nil {
		return fmt.Errorf("no welcome: %w", err)
	}
	var welcome struct{ Node string }
	if err := json.Unmarshal(text, &welcome); err != nil {
		return err
	}
	v.mu.Lock()
	v.met[welcome.Node]++
	v.mu.Unlock()
	select {
	case v.new <- struct{}{}:
	default:
	}
	if !v.stay {
		return nil
	}
	if _, _, err = conn.Read(ctx); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		return fmt.Errorf("not told to come back: %w", err)
	}
	return nil
}

// meets waits until the visitor has been with that node.
func (v *visitor) meets(ctx context.Context, t *testing.T, node string) {
	t.Helper()
	for {
		v.mu.Lock()
		met := v.met[node]
		v.mu.Unlock()
		if met > 0 {
			return
		}
		select {
		case <-v.new:
		case <-ctx.Done():
			t.Fatalf("one who stays (%v) never met %s", v.stay, node)
		}
	}
}

// A node that is restarted on the service manager's socket refuses nobody: who
// comes while no process is there waits, and is served by the next one.
func TestRestartInPlace(t *testing.T) {
	drains(t, 0, 300*time.Millisecond, time.Minute)
	passes(t, "warren")
	l := listenTCP(t) // this process is the manager, and accepts nobody
	start := func(name string) *exec.Cmd {
		cmd, _, _ := processWith(t, []*os.File{named(t, l, "")}, "sh", "-c", passing, binary, "--node="+name)
		return cmd
	}
	before := start("before")

	ctx, leave := context.WithTimeout(t.Context(), time.Minute)
	defer leave()
	var crowd []*visitor
	var all sync.WaitGroup
	for i := range 12 {
		v := &visitor{url: "ws://" + l.Addr().String() + "/ws", stay: i >= 4, met: map[string]int{}, new: make(chan struct{}, 1)}
		crowd = append(crowd, v)
		all.Go(func() { v.come(ctx, t) })
	}
	for _, v := range crowd {
		v.meets(ctx, t, "before")
	}
	send(t, before, syscall.SIGTERM)
	endsWell(t, before)
	waiting, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("between the processes: %v", err)
	}
	defer waiting.Close()
	start("after")
	for _, v := range crowd {
		v.meets(ctx, t, "after")
	}
	fmt.Fprintf(waiting, "GET /healthz HTTP/1.0\r\n\r\n")
	status := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(waiting, status); err != nil || string(status) != "HTTP/1.1 200" {
		t.Errorf("who waited between the processes read %q, %v", status, err)
	}
	leave()
	all.Wait()
}
