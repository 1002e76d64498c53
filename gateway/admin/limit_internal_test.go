package admin

import (
	"errors"
	"net"
	"testing"
)

// A full listener accepts again when a connection closes, and can be closed.
func TestLimit(t *testing.T) {
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(in, 1)
	type accepted struct {
		conn net.Conn
		err  error
	}
	next := make(chan accepted)
	go func() {
		defer close(next)
		for {
			c, err := l.Accept()
			next <- accepted{c, err}
			if err != nil {
				return
			}
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	one := <-next
	select {
	case <-next:
		t.Error("accepted two")
	default:
	}
	if !l.crowded() {
		t.Error("full and not crowded")
	}
	one.conn.Close()
	one.conn.Close() // gives its place back once
	two := <-next
	if two.err != nil {
		t.Fatal(two.err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if last := <-next; !errors.Is(last.err, net.ErrClosed) {
		t.Errorf("closed, Accept returns %v", last.err)
	}
	two.conn.Close()
	for range next {
	}
}

func TestHosts(t *testing.T) {
	loopback, all := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv6unspecified}
	tests := []struct {
		configured string
		bound      net.Addr
		host       string
		known      bool
		network    bool
	}{
		{"127.0.0.1:3001", loopback, "127.0.0.1:3001", true, false},
		{"127.0.0.1:3001", loopback, "warren:3001", false, false},
		{"warren:3001", loopback, "Warren:3001", true, false},
		{":3001", all, "warren:3001", false, true},
		{":3001", all, "[fe80::1%25eth0]:3001", true, true},
		{":3001", all, "[2001:db8::1]", true, true},
		{":3001", all, "2001:db8::1", true, true},
		{":3001", all, "", true, true},
		{":3001", all, "1.2.3.4.example", false, true},
		{":3001", all, "0x7f000001:3001", false, true},
	}
	for _, tt := range tests {
		h := hostsOf(tt.configured, tt.bound)
		if got := h.known(tt.host); got != tt.known || h.network != tt.network {
			t.Errorf("%s, asked for as %q: known %v, network %v", tt.configured, tt.host, got, h.network)
		}
	}
}
