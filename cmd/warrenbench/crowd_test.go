//go:build linux

package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// crowdOf is a crowd in this process. It is gone with the test.
func crowdOf(t *testing.T, to target, n int) *crowd {
	t.Helper()
	c, err := newCrowd(to, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.vanish(), unix.Close(c.ep)); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestCrowdComesVanishesAndLeaves(t *testing.T) {
	const clients = 200 // more than begin between two looks at the answers
	ends := make(chan error, 2*clients)
	to := scripted(t, string(bareAnswer), func(_ int, c net.Conn, r *bufio.Reader) {
		_, err := io.Copy(io.Discard, r)
		ends <- err
	})
	c := crowdOf(t, to, clients)
	for _, tell := range []byte{tellCome, tellVanish} {
		if err := c.obey(tell); err != nil {
			t.Fatalf("%q: %v", tell, err)
		}
		if r := c.result; r.Taken != clients || r.Refused != 0 || r.Took <= 0 || r.CPU <= 0 {
			t.Errorf("%q: %+v", tell, r)
		}
	}
	for range clients {
		if err := <-ends; !errors.Is(err, unix.ECONNRESET) {
			t.Fatalf("a connection that vanished ended with %v", err)
		}
	}
	if err := c.obey(tellLeave); err != nil {
		t.Fatal(err)
	}
	for range clients {
		if err := <-ends; err != nil {
			t.Fatalf("a connection that was left ended with %v", err)
		}
	}
	if err := c.obey('x'); err == nil {
		t.Error("no command, and no error")
	}
}

func TestCrowdTellsRefusals(t *testing.T) {
	c := crowdOf(t, scripted(t, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\n\r\n", nil), 3)
	if err := c.obey(tellCome); err != nil || c.result.Refused != 3 || c.result.Taken != 0 {
		t.Errorf("%+v, %v", c.result, err)
	}
}

func TestCrowdSaysWhatCameInstead(t *testing.T) {
	closes := func(_ int, c net.Conn, _ *bufio.Reader) { c.Close() }
	for _, c := range []struct {
		answer string
		script func(int, net.Conn, *bufio.Reader)
		want   string
	}{
		{"HTTP/1.1 503 Service Unavailable\r\n\r\n", nil, "503 Service Unavailable"},
		{"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAA\r\n\r\n", nil, "no upgrade"},
		{strings.Repeat("x", 2*headLimit), nil, "no upgrade"},
		{"HTTP/1.1 101 Swi", closes, `closed after "HTTP/1.1 101 Swi"`},
	} {
		err := crowdOf(t, scripted(t, c.answer, c.script), 2).come()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("answer %.40q: error %v, want %q", c.answer, err, c.want)
		}
	}
}

// What ends the process is an error of whoever waits for it.
func TestCrowdProcessThatEnds(t *testing.T) {
	b := &bench{log: t.Output()}
	c, err := b.startCrowd(target{addr: netip.MustParseAddrPort("127.0.0.1:1"), path: "/"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.do(t.Context(), tellCome, nil); err == nil || !strings.Contains(err.Error(), "the crowd ended: exit status 1") {
		t.Errorf("nobody listens: error %v", err)
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
}
