package child_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"warren/internal/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const grace = 30 * time.Second

// start runs a shell script and waits for its first line.
func start(t *testing.T, script string) (*child.Process, string) {
	t.Helper()
	r, w := io.Pipe()
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout = w
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(syscall.SIGKILL, grace) })
	first, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	t.Cleanup(func() { w.Close() })
	return p, strings.TrimSpace(first)
}

func TestStopIsGentleFirst(t *testing.T) {
	p, _ := start(t, `trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done`)
	if err := p.Stop(syscall.SIGTERM, grace); err != nil {
		t.Errorf("stop: %v", err)
	}
	var status *exec.ExitError
	if !errors.As(p.Err(), &status) || status.ExitCode() != 3 {
		t.Errorf("ended with %v, want status 3", p.Err())
	}
}

func TestStopKillsTheStubborn(t *testing.T) {
	p, grandchild := start(t, `trap '' TERM; sleep 1000 & echo $!; wait; wait`)
	err := p.Stop(syscall.SIGTERM, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("stop: %v, want to hear that it was killed", err)
	}
	pid, err := strconv.Atoi(grandchild)
	if err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

// gone waits until pid has ended. init reaps orphans in its own time.
func gone(t *testing.T, pid int) {
	t.Helper()
	limit := time.After(grace)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		if err != nil || strings.HasPrefix(string(state), "Z") {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("process %d is still there, state %s", pid, state)
		}
	}
}

func TestEndsByItself(t *testing.T) {
	p, _ := start(t, `echo ready`)
	select {
	case <-p.Done():
	case <-time.After(grace):
		t.Fatal("still running")
	}
	if err := p.Err(); err != nil {
		t.Errorf("ended with %v, want status 0", err)
	}
	if err := p.Stop(syscall.SIGTERM, grace); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	if _, err := child.Start(exec.Command("/nowhere/nothing")); err == nil || !strings.Contains(err.Error(), "starting nothing") {
		t.Errorf("error %v, want one that names the program", err)
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	lines := child.NewLines(&out)
	a, b := lines.Prefixed("a | "), lines.Prefixed("b | ")
	io.WriteString(a, "one\ntw")
	io.WriteString(b, "other\r\n")
	io.WriteString(a, "o\n\nrest")
	if got, want := out.String(), "a | one\nb | other\na | two\na | \n"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
	out.Reset()
	io.WriteString(b, strings.Repeat("x", 100<<10))
	if got := out.Len(); got < 64<<10 {
		t.Errorf("an endless line is kept: %d bytes written", got)
	}
}
