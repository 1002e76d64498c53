//go:build linux

package main

import (
	"bufio"
	"io"
	"net"
	"testing"
)

func TestForwarderIsCutAndComesBack(t *testing.T) {
	// To whom it forwards: each connection is greeted.
	to := scripted(t, "hello\n", nil)
	w, err := startForwarder(to.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	dial := func() (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp4", w.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
	for range 2 {
		w.restore()
		if !w.since().IsZero() {
			t.Error("somebody came before anybody did")
		}
		_, r := dial()
		if line, err := r.ReadString('\n'); err != nil || line != "hello\n" {
			t.Fatalf("forwarded: %q, %v", line, err)
		}
		came := w.since()
		if came.IsZero() {
			t.Error("nobody came")
		}
		_, second := dial()
		if _, err := second.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		w.cut()
		if b, err := io.ReadAll(r); len(b) > 0 {
			t.Errorf("after the cut: %q, %v", b, err)
		}
		_, r = dial()
		if b, err := io.ReadAll(r); len(b) > 0 {
			t.Errorf("while cut: %q, %v", b, err)
		}
		if w.since() != came {
			t.Error("the first connection is no longer the first")
		}
	}
}
