package request_test

import (
	"strings"
	"testing"

	"warren/gateway/request"
)

func TestChannel(t *testing.T) {
	for _, c := range []struct {
		path, prefix string
		where        request.Place
		name         string
		valid        bool
	}{
		{"/ws", "/ws", request.Root, "", false},
		{"/ws/room", "/ws", request.Named, "room", true},
		{"/ws/a/b/c", "/ws", request.Named, "a/b/c", true},
		{"/a/b/room", "/a/b", request.Named, "room", true},
		{"/ws/AZaz09._:-~", "/ws", request.Named, "AZaz09._:-~", true},
		{"/ws/..", "/ws", request.Named, "..", true},
		{"/ws/ws", "/ws", request.Named, "ws", true},
		{"/ws/", "/ws", request.Named, "", false},
		{"/ws//a", "/ws", request.Named, "/a", false},
		{"/ws/a/", "/ws", request.Named, "a/", false},
		{"/ws/a//b", "/ws", request.Named, "a//b", false},
		{"/ws/a%20b", "/ws", request.Named, "a%20b", false},
		{"/ws/a+b", "/ws", request.Named, "a+b", false},
		{"/ws/a,b", "/ws", request.Named, "a,b", false},
		{"/ws/ä", "/ws", request.Named, "ä", false},
		{"/ws/a\x00", "/ws", request.Named, "a\x00", false},
		{"/wsx", "/ws", request.Elsewhere, "", false},
		{"/wsx/a", "/ws", request.Elsewhere, "", false},
		{"/WS/a", "/ws", request.Elsewhere, "", false},
		{"//ws/a", "/ws", request.Elsewhere, "", false},
		{"/w", "/ws", request.Elsewhere, "", false},
		{"/", "/ws", request.Elsewhere, "", false},
		{"", "/ws", request.Elsewhere, "", false},
	} {
		name, where := request.Channel([]byte(c.path), c.prefix)
		if where != c.where || string(name) != c.name {
			t.Errorf("%q: got %d %q, want %d %q", c.path, where, name, c.where, c.name)
		}
		if got := request.ValidChannel(name); got != c.valid {
			t.Errorf("%q: valid %v", name, got)
		}
		if got := request.ValidChannel(string(name)); got != c.valid {
			t.Errorf("%q as a string: valid %v", name, got)
		}
	}
}

func TestChannelLength(t *testing.T) {
	for n, want := range map[int]bool{1: true, request.MaxChannel: true, request.MaxChannel + 1: false} {
		if got := request.ValidChannel(strings.Repeat("x", n)); got != want {
			t.Errorf("%d bytes: %v", n, got)
		}
	}
}

func TestChannelBytes(t *testing.T) {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-~"
	for c := range 256 {
		name := []byte{'a', byte(c), 'b'}
		want := c == '/' || strings.IndexByte(allowed, byte(c)) >= 0
		if got := request.ValidChannel(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
