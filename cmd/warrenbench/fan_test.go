//go:build linux

package main

import (
	"bufio"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// scripted is a server on which script runs for each connection behind the 101,
// and which then reads to the end.
func scripted(t *testing.T, answer string, script func(n int, c net.Conn, r *bufio.Reader)) target {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for line := ""; line != "\r\n"; {
					if line, err = r.ReadString('\n'); err != nil {
						return
					}
				}
				if _, err := c.Write([]byte(answer)); err != nil {
					return
				}
				if script != nil {
					script(n, c, r)
				}
				_, _ = r.WriteTo(discard{})
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return target{name: "server", path: "/ws", addr: netip.MustParseAddrPort(l.Addr().String())}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// connected is a fan of n clients, closed with the test.
func connected(t *testing.T, to target, n int) *fan {
	t.Helper()
	f, err := newFan(64, fromZero)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.close(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Error(err)
		}
	})
	if err := f.grow(t.Context(), newDialer(to), n); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDialerSaysWhatCameInstead(t *testing.T) {
	for _, c := range []struct{ answer, want string }{
		{"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"},
		{"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAA\r\n\r\n", "no upgrade"},
		{strings.Repeat("x", headLimit), "no upgrade"},
	} {
		err := newDialer(scripted(t, c.answer, nil)).dialAndClose(t.Context(), 3)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("answer %.40q: error %v, want %q", c.answer, err, c.want)
		}
	}
	raw := scripted(t, string(bareAnswer), nil).speaking(true)
	if err := newDialer(raw).dialAndClose(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "not to the subprotocol warren.v1.json") {
		t.Errorf("a raw answer: error %v", err)
	}
	hangUp := scripted(t, "HTTP/1.1 101 Swi", func(_ int, c net.Conn, _ *bufio.Reader) { c.Close() })
	if err := newDialer(hangUp).dialAndClose(t.Context(), 1); err == nil || !strings.Contains(err.Error(), `closed after "HTTP/1.1 101 Swi"`) {
		t.Errorf("hung up: error %v", err)
	}
}

func TestFanReadsWhatFollowsTheHead(t *testing.T) {
	to := scripted(t, string(bareAnswer)+string(serverFrame(64, 0))+string(serverFrame(64, 1)[:30]), func(_ int, c net.Conn, _ *bufio.Reader) {
		_, _ = c.Write(serverFrame(64, 1)[30:])
	})
	f := connected(t, to, 3)
	f.expect(2)
	if err := f.until(t.Context(), "two messages", func() bool { return f.behind == 0 }); err != nil {
		t.Fatal(err)
	}
	if err := f.all(2); err != nil {
		t.Error(err)
	}
	if err := f.all(3); err == nil || !strings.Contains(err.Error(), "client 0 has 2 of 3 messages") {
		t.Errorf("error %v, want that client 0 lacks one", err)
	}
}

func TestFanAnswersPings(t *testing.T) {
	pongs := make(chan string, 1)
	to := scripted(t, string(bareAnswer), func(_ int, c net.Conn, r *bufio.Reader) {
		_, _ = c.Write(ws.MustCompileFrame(ws.NewPingFrame([]byte("42"))))
		h, err := ws.ReadHeader(r)
		body := make([]byte, h.Length)
		_, _ = r.Read(body)
		ws.Cipher(body, h.Mask, 0)
		if err == nil && h.OpCode == ws.OpPong && h.Masked {
			pongs <- string(body)
		}
		_, _ = c.Write(serverFrame(64, 0))
	})
	f := connected(t, to, 1)
	f.expect(1)
	if err := f.until(t.Context(), "the message after the ping", func() bool { return f.behind == 0 }); err != nil {
		t.Fatal(err)
	}
	if got := <-pongs; got != "42" {
		t.Errorf("pong %q, want the ping's payload", got)
	}
}

func TestFanNoticesWhoIsCutOff(t *testing.T) {
	for _, c := range []struct {
		name   string
		mayEnd bool
		want   []string
	}{
		{"counted", true, []string{"2 of 5 clients were cut off; client ", " after 0 messages: closed "}},
		{"an error at once", false, []string{"client ", " after 0 messages: closed "}},
	} {
		all := make(chan struct{}) // are connected
		f := connected(t, scripted(t, string(bareAnswer), func(n int, c net.Conn, _ *bufio.Reader) {
			<-all
			switch n {
			case 1:
				_, _ = c.Write(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "slow consumer"))))
			case 2:
				c.Close()
			}
		}), 5)
		f.mayEnd = c.mayEnd
		close(all)
		err := f.until(t.Context(), "two ends", func() bool { return f.ended == 2 })
		if c.mayEnd {
			if err != nil {
				t.Fatal(err)
			}
			err = f.all(0)
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", c.name, err, want)
			}
		}
	}
}

// An eviction in the middle of a flood must fail the benchmark.
func TestThroughputFailsOnEviction(t *testing.T) {
	all := make(chan struct{}) // are connected
	to := scripted(t, string(bareAnswer), func(n int, c net.Conn, _ *bufio.Reader) {
		if n == 1 {
			<-all
			_, _ = c.Write(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "slow consumer"))))
		}
	})
	b := &bench{size: 64, limit: 100, log: t.Output()}
	c := contender{target: to, order: fromZero, source: func(f *fan) source { return newPublisher(f, 64) }}
	err := b.with(t.Context(), c, 4, func(f *fan, s source) error {
		f.mayEnd = true
		close(all)
		if err := s.flood(); err != nil {
			return err
		}
		if err := f.until(t.Context(), "the eviction", func() bool { return f.ended == 1 }); err != nil {
			return err
		}
		if err := s.halt(); err != nil {
			return err
		}
		return f.drain(t.Context(), s)
	})
	if err == nil || !strings.Contains(err.Error(), `1 of 4 clients were cut off; client`) || !strings.Contains(err.Error(), `1013 "slow consumer"`) {
		t.Errorf("error %v, want that 1 of 4 was cut off with 1013", err)
	}
}

func TestYardstickCountsItsRounds(t *testing.T) {
	y, err := startYardstick(64, false, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := y.stop(); err != nil {
			t.Error(err)
		}
	}()
	b := &bench{size: 64, limit: 1000, log: t.Output()}
	c := contender{target: y.target, source: func(*fan) source { return &rounds{y: y} }}
	for range 2 {
		err := b.with(t.Context(), c, 30, func(f *fan, s source) error {
			for range 3 {
				if err := s.one(); err != nil {
					return err
				}
			}
			if n, final := s.sent(); n != 3 || !final {
				t.Errorf("sent %d, %t, want 3", n, final)
			}
			if err := s.flood(); err != nil {
				return err
			}
			if err := f.until(t.Context(), "a flood", func() bool { return f.frames > 3000 }); err != nil {
				return err
			}
			if err := s.halt(); err != nil {
				return err
			}
			if err := f.drain(t.Context(), s); err != nil {
				return err
			}
			if n, final := s.sent(); n < 100 || !final {
				t.Errorf("sent %d, %t, want 100 rounds at least", n, final)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
