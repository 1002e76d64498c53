//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// stream is what a server sends to one client: n numbered messages.
func stream(size, n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, serverFrame(size, int64(i))...)
	}
	return b
}

// insert puts p behind the first n frames.
func insert(b []byte, frame, n int, p []byte) []byte {
	at := frame * n
	return append(append(bytes.Clone(b[:at]), p...), b[at:]...)
}

func TestReaderCounts(t *testing.T) {
	for _, size := range []int{8, 64, 125, 126, 1000, 70000} {
		s := newShape(size, fromZero)
		n := int64(40)
		if size > 10000 {
			n = 4
		}
		plain := stream(size, int(n))
		withPing := insert(plain, s.size, int(n/2), ws.MustCompileFrame(ws.NewPingFrame([]byte("there?"))))
		withPong := insert(plain, s.size, int(n-1), ws.MustCompileFrame(ws.NewPongFrame(nil)))
		for name, b := range map[string][]byte{"plain": plain, "ping": withPing, "pong": withPong} {
			for _, cut := range []int{1, 2, 3, s.size - 1, s.size, s.size + 1, 7 * s.size, len(b), 0} {
				var r reader
				pings := 0
				for rest := b; len(rest) > 0; {
					k := cut
					if k == 0 {
						k = 1 + rand.IntN(3*s.size)
					}
					k = min(k, len(rest))
					ping, err := r.take(rest[:k], &s)
					if err != nil {
						t.Fatalf("size %d, %s, cut %d: %v", size, name, cut, err)
					}
					if ping != nil {
						pings++
						if string(ping) != "there?" {
							t.Errorf("size %d, cut %d: ping %q", size, cut, ping)
						}
					}
					rest = rest[k:]
				}
				if r.frames != n || (pings == 1) != (name == "ping") {
					t.Errorf("size %d, %s, cut %d: %d frames and %d pings, want %d frames", size, name, cut, r.frames, pings, n)
				}
			}
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	s := newShape(64, fromZero)
	good := stream(64, 20)
	without := func(k int) []byte { return append(bytes.Clone(good[:k*s.size]), good[(k+1)*s.size:]...) }
	twice := func(k int) []byte { return insert(good, s.size, k, good[(k-1)*s.size:k*s.size]) }
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"lost", without(11), "where number 11 should be"},
		{"repeated", twice(12), "where number 12 should be"},
		{"longer", insert(good, s.size, 3, serverFrame(65, 3)), "after 3 frames"},
		{"binary", insert(good, s.size, 0, ws.MustCompileFrame(ws.NewBinaryFrame(make([]byte, 64)))), "after 0 frames"},
		{"masked", appendClientFrame(nil, ws.OpText, make([]byte, 64), 1), "not a server's"},
		{"closed", insert(good, s.size, 5, ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "slow consumer")))), `closed with 1013 "slow consumer"`},
	} {
		for _, cut := range []int{len(c.in), 1, 100} {
			var r reader
			var err error
			for rest := c.in; len(rest) > 0 && err == nil; {
				k := min(cut, len(rest))
				_, err = r.take(rest[:k], &s)
				rest = rest[k:]
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, cut %d: error %v, want %q", c.name, cut, err, c.want)
			}
			if c.name == "closed" && (!errors.As(err, new(errClosed)) || r.frames != 5) {
				t.Errorf("closed after %d frames with %T, want 5 and errClosed", r.frames, err)
			}
		}
	}
}

func TestClientFrames(t *testing.T) {
	var b []byte
	p := make([]byte, 64)
	for i := range int64(3) {
		payload(p, 99_999_998+i)
		b = appendClientFrame(b, ws.OpText, p, i)
	}
	r := bytes.NewReader(b)
	keys := map[[4]byte]bool{}
	for _, want := range []string{"99999998xxx", "99999999xxx", "00000000xxx"} {
		h, err := ws.ReadHeader(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := ws.CheckHeader(h, ws.StateServerSide); err != nil {
			t.Error(err)
		}
		keys[h.Mask] = true
		got := make([]byte, h.Length)
		if _, err := io.ReadFull(r, got); err != nil {
			t.Fatal(err)
		}
		ws.Cipher(got, h.Mask, 0)
		if len(got) != 64 || !strings.HasPrefix(string(got), want) {
			t.Errorf("message %q, want 64 bytes that begin with %q", got, want)
		}
	}
	if r.Len() != 0 || len(keys) != 3 {
		t.Errorf("%d bytes too many, %d masking keys", r.Len(), len(keys))
	}
}
