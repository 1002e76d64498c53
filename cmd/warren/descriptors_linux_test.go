package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limitFiles sets how many files another process may have open.
func limitFiles(t *testing.T, pid int, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = n // the hard limit stays: to raise it again needs root
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// knock connects and asks for a WebSocket.
func knock(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	return conn, bufio.NewReader(conn)
}

func admitted(t *testing.T, r *bufio.Reader) {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v; want a WebSocket", response, err)
	}
}

// Out of descriptors, the node lets connections wait, serves those that it has,
// and goes on by itself once there are descriptors again.
func TestOutOfDescriptors(t *testing.T) {
	cmd, _, addr := process(t, binary, "--listen=127.0.0.1:0")
	conn, there := knock(t, addr)
	admitted(t, there)
	// What it has open is as much as it may have, or more: the next accept fails.
	limitFiles(t, cmd.Process.Pid, 4)
	var waiting []*bufio.Reader
	for range 20 {
		_, r := knock(t, addr)
		waiting = append(waiting, r)
	}
	// A ping, and its pong: the loop goes round, past the listener that is ready.
	for range 3 {
		if _, err := conn.Write([]byte{0x89, 0x80, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		if b, err := there.ReadByte(); err != nil || b != 0x8a {
			t.Fatalf("%#x, %v; want a pong", b, err)
		}
		if _, err := there.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	limitFiles(t, cmd.Process.Pid, 1000)
	for _, r := range waiting {
		admitted(t, r)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code, err := there.ReadByte(); err != nil || code != 0x88 {
		t.Errorf("%#x, %v; want a close frame", code, err)
	}
}
