package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"warren/gateway"
)

// started reads a log in text format until the line that says where the node
// listens, and goes on reading it to its end. It returns all up to that line,
// and the address. stop, which must end the log, is called when the test ends.
func started(t *testing.T, log io.Reader, stop func()) (lines []string, addr string) {
	t.Helper()
	drained := make(chan struct{})
	t.Cleanup(func() {
		stop()
		<-drained
	})
	scanner := bufio.NewScanner(log)
	for addr == "" && scanner.Scan() {
		lines = append(lines, scanner.Text())
		if _, rest, ok := strings.Cut(scanner.Text(), "msg=listening address="); ok {
			addr, _, _ = strings.Cut(rest, " ")
		}
	}
	go func() {
		defer close(drained)
		for scanner.Scan() {
			t.Log(scanner.Text())
		}
	}()
	if addr == "" {
		t.Fatalf("the log ended before the node listened: %q", lines)
	}
	return lines, addr
}

// logged is what follows prefix in a line of the start's log, up to a space.
func logged(t *testing.T, lines []string, prefix string) string {
	t.Helper()
	for _, line := range lines {
		if _, rest, ok := strings.Cut(line, prefix); ok {
			value, _, _ := strings.Cut(rest, " ")
			return value
		}
	}
	t.Fatalf("no %q in the start's log: %q", prefix, lines)
	return ""
}

// serveInProcess runs a node as main does, without the process. It ends, and
// must end well, when the test does.
func serveInProcess(t *testing.T, args ...string) (lines []string, addr string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	args = append([]string{"--admin-listen=127.0.0.1:0"}, args...)
	go func() {
		err := run(ctx, args, io.Discard, w)
		w.Close()
		done <- err
	}()
	return started(t, r, func() {
		cancel(gateway.ErrStopNow)
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// process starts a command and waits until it listens. One that doesn't end
// when it should is killed.
func process(t *testing.T, name string, args ...string) (cmd *exec.Cmd, lines []string, addr string) {
	t.Helper()
	return processWith(t, nil, name, args...)
}

// processWith passes it files, the first as descriptor 3.
func processWith(t *testing.T, files []*os.File, name string, args ...string) (cmd *exec.Cmd, lines []string, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"WARREN_ADMIN_LISTEN=127.0.0.1:0"}, os.Environ()...)
	cmd.ExtraFiles = files
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir, cmd.Stderr = t.TempDir(), w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { r.Close() })
	lines, addr = started(t, r, func() {
		cmd.Process.Kill() // unless the test has ended it
		cmd.Wait()
	})
	return cmd, lines, addr
}

// send sends cmd a signal.
func send(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// endsWell waits until the process has ended, with status 0.
func endsWell(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// drains sets how nodes that are started then leave.
func drains(t *testing.T, delay, period, timeout time.Duration) {
	t.Helper()
	t.Setenv("WARREN_DRAIN_DELAY", delay.String())
	t.Setenv("WARREN_DRAIN_PERIOD", period.String())
	t.Setenv("WARREN_DRAIN_TIMEOUT", timeout.String())
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// ask is what whoever listens at addr says to one who says nothing.
func ask(t *testing.T, addr string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func dial(t *testing.T, addr, path string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

// echoes checks that conn is served: it sends to its channel, and hears it.
func echoes(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, body, err := conn.Read(t.Context()); err != nil || string(body) != "hello" {
		t.Errorf("read %q, %v", body, err)
	}
}

// closedWith reads on until conn's close frame, which must be that.
func closedWith(t *testing.T, conn *websocket.Conn, code websocket.StatusCode, reason string) {
	t.Helper()
	_, _, err := conn.Read(t.Context())
	for err == nil {
		_, _, err = conn.Read(t.Context())
	}
	want := websocket.CloseError{Code: code, Reason: reason}
	if got := new(websocket.CloseError); !errors.As(err, got) || *got != want {
		t.Errorf("client read %v, want close %v", err, want)
	}
}

// frozen is a client that reads what it is told to, and answers nothing.
type frozen struct {
	net.Conn
	in *bufio.Reader
}

// freeze connects one.
func freeze(t *testing.T, addr, path string) frozen {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, addr)
	c := frozen{conn, bufio.NewReader(conn)}
	for line := ""; line != "\r\n"; {
		if line, err = c.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// toldToClose waits for its close frame, which says that the stop is on its
// way, and leaves it unanswered.
func (c frozen) toldToClose(t *testing.T) {
	t.Helper()
	if opcode, err := c.in.ReadByte(); err != nil || opcode != 0x88 {
		t.Fatalf("read %#x, %v; want a close frame", opcode, err)
	}
}

// endsBy waits until the process has ended, by that signal.
func endsBy(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
		t.Errorf("ended with %v, want by %v", cmd.ProcessState, sig)
	}
}

// eventually asks again until it is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("never came: %s", what)
		}
	}
}
