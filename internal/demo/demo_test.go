package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"go.uber.org/goleak"

	"warren/amqp/amqptest"
	"warren/internal/browsertest"
	"warren/internal/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is for the demo to come up or to end; machines may be busy.
const limit = 3 * time.Minute

// running is a demo in a process of its own, as people start it.
type running struct {
	*child.Process
	t   *testing.T
	tmp string // its temporary folder, and in the environment of all it starts

	mu     sync.Mutex
	output bytes.Buffer  // guarded by mu
	line   chan struct{} // has room for one: something was printed
}

func (r *running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.output.Write(b)
	select {
	case r.line <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (r *running) printed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.output.String()
}

func startDemo(t *testing.T, amqpURL string, args ...string) *running {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the demo: %v\n%s", err, out)
	}
	// Short: HAProxy's socket lies below it, and a path has some 100 bytes.
	tmp, err := os.MkdirTemp("", "demotest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	r := &running{t: t, tmp: tmp, line: make(chan struct{}, 1)}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "WARREN_AMQP_URL="+amqpURL)
	cmd.Stdout, cmd.Stderr = r, r
	if r.Process, err = child.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(syscall.SIGTERM, limit); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the demo printed:\n%s", r.printed())
		}
	})
	return r
}

// await waits for the demo to print what pattern finds, and returns its group.
func (r *running) await(pattern string) string {
	r.t.Helper()
	re := regexp.MustCompile(pattern)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		if m := re.FindStringSubmatch(r.printed()); m != nil {
			return m[1]
		}
		select {
		case <-r.line:
		case <-r.Done():
			r.t.Fatalf("the demo ended (%v) before it printed %s", r.Err(), pattern)
		case <-timer.C:
			r.t.Fatalf("the demo did not print %s in %v", pattern, limit)
		}
	}
}

// end waits for the demo to end and returns its status.
func (r *running) end() int {
	r.t.Helper()
	select {
	case <-r.Done():
	case <-time.After(limit):
		r.t.Fatalf("the demo still runs after %v", limit)
	}
	var status *exec.ExitError
	switch err := r.Err(); {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return status.ExitCode()
	default:
		r.t.Fatalf("the demo ended: %v", err)
		return -1
	}
}

// nothingStays checks that the demo left no process and no folder.
func (r *running) nothingStays() {
	r.t.Helper()
	for pid, line := range r.processes() {
		r.t.Errorf("process %d is left: %s", pid, line)
	}
	left, err := os.ReadDir(r.tmp)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, entry := range left {
		r.t.Errorf("%s is left in the temporary folder", entry.Name())
	}
}

// processes are those that got the demo's temporary folder by environment.
func (r *running) processes() map[int]string {
	r.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		r.t.Fatal(err)
	}
	found := map[int]string{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// One that has just ended has no environment any more.
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err != nil || !bytes.Contains(env, []byte("TMPDIR="+r.tmp+"\x00")) {
			continue
		}
		line, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		found[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
	}
	return found
}

const page = `(?m)Open (http://\S+) in two windows`

// The whole road: a page, HAProxy, a node, RabbitMQ, the other node, HAProxy,
// another page. And then Ctrl-C.
func TestDemo(t *testing.T) {
	r := startDemo(t, "", "--listen", "127.0.0.1:0")
	b := browsertest.New(t)
	url := r.await(page) + "/#demo"

	one, two := b.Tab(t), b.Tab(t)
	for _, tab := range []*browsertest.Tab{one, two} {
		tab.Open(url)
		tab.Wait(`document.querySelector('#status').dataset.state === 'open'`)
	}
	// HAProxy logs a WebSocket when it begins: one went to each node.
	r.await(`(websocket_servers/node1 \S+ 101)`)
	r.await(`(websocket_servers/node2 \S+ 101)`)
	for from, to := range map[*browsertest.Tab]*browsertest.Tab{one: two, two: one} {
		text := fmt.Sprintf("good morning <b>%p</b>", from)
		from.Do(chromedp.Focus(chromedp.CSS("#message")))
		from.Press(text + kb.Enter)
		for _, tab := range []*browsertest.Tab{to, from} {
			tab.Wait(fmt.Sprintf(`[...document.querySelectorAll('#list pre')].some(e => e.textContent === %q)`, text))
		}
	}
	if len(r.processes()) < 5 {
		t.Errorf("found only %v; RabbitMQ, two nodes, HAProxy and the demo should be there", r.processes())
	}

	if err := syscall.Kill(r.Pid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status := r.end(); status != 0 {
		t.Errorf("interrupted, the demo ends with status %d", status)
	}
	r.nothingStays()
	for _, tab := range []*browsertest.Tab{one, two} {
		tab.Wait(`[...document.querySelectorAll('.note')].some(e => e.textContent.includes('The node stops. (1001'))`)
	}
}

// With a RabbitMQ of one's own; and a part that dies takes the rest with it.
func TestPartDies(t *testing.T) {
	server := amqptest.New(t, amqptest.Options{})
	r := startDemo(t, server.URL(), "--listen", "127.0.0.1:0")
	r.await(page)
	var victim int
	for pid, line := range r.processes() {
		if strings.Contains(line, "rabbit") || strings.Contains(line, "epmd") {
			t.Errorf("the demo runs %s beside the RabbitMQ it was given", line)
		}
		if strings.Contains(line, "--node node2") {
			victim = pid
		}
	}
	if victim == 0 {
		t.Fatalf("no second node among %v", r.processes())
	}
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status := r.end(); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	r.nothingStays()
	last := lastLine(r.printed())
	if !strings.Contains(last, "node2 ended: signal: killed") {
		t.Errorf("the last line is %q, want it to name the part and why it ended", last)
	}
	if strings.Contains(r.printed(), "guest:guest") {
		t.Error("the password was printed")
	}
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := startDemo(t, "", "--listen", l.Addr().String())
	if status := r.end(); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if got := strings.TrimSpace(r.printed()); !strings.Contains(got, l.Addr().String()+" is in use") || strings.Contains(got, "\n") {
		t.Errorf("printed %q, want one line that says what is in use", got)
	}
	r.nothingStays()
}

func lastLine(s string) (last string) {
	lines := bufio.NewScanner(strings.NewReader(s))
	for lines.Scan() {
		last = lines.Text()
	}
	return last
}
