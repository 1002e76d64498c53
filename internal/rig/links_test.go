package rig_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"warren/internal/rig"
)

// limit is reached only when something is broken.
const limit = time.Minute

// echo answers every connection with what it is sent.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			go io.Copy(c, c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// call connects by way of the link.
func call(t *testing.T, l *rig.Link) net.Conn {
	t.Helper()
	by, err := l.URL("amqp://guest:guest@127.0.0.1:1/")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTimeout("tcp", u.Host, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// hears is what comes back of a byte within a time.
func hears(c net.Conn, within time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

// A link can be cut, stalled and slowed down, and is whole again once mended.
func TestLinks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	programs, err := rig.Build(ctx, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	links, err := rig.StartLinks(ctx, programs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := links.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := links.Add("echo", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := call(t, l)
	check(hears(c, limit))

	check(l.Cut())
	if err := hears(c, limit); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a cut link: %v", err)
	}
	check(l.Mend())
	c = call(t, l)
	check(hears(c, limit))

	for _, way := range []rig.Direction{rig.ToRabbit, rig.FromRabbit} {
		check(l.Harm("timeout", way, rig.Attributes{"timeout": 0}))
		if err := hears(c, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a link stalled %s: %v", way, err)
		}
		check(l.Mend())
		if err := hears(c, limit); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a link after it was stalled %s: %v", way, err)
		}
		c = call(t, l)
		check(hears(c, limit))
	}

	const late = 300 * time.Millisecond
	check(l.Harm("latency", rig.FromRabbit, rig.Attributes{"latency": late.Milliseconds()}))
	began := time.Now()
	check(hears(c, limit))
	if took := time.Since(began); took < late {
		t.Errorf("a slow link took %v, of at least %v", took, late)
	}
	check(l.Mend())
	check(hears(c, limit))
}
