//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

func TestRunSelfSaysWhyNot(t *testing.T) {
	var v rabbitResult
	if err := runSelf(t.Context(), t.Output(), nil, &v, rabbitCommand, "-consume", "-url=amqp://127.0.0.1:1/"); err == nil || !strings.Contains(err.Error(), "run rabbit: exit status 1") {
		t.Errorf("a program that fails: error %v", err)
	}
	// bare waits for the end of its input.
	ctx, cancel := context.WithCancel(t.Context())
	serve := func(time.Duration) error { cancel(); return nil }
	if err := runSelf(ctx, t.Output(), serve, &v, bareCommand); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: error %v", err)
	}
	broken := errors.New("broken")
	if err := runSelf(t.Context(), t.Output(), func(time.Duration) error { return broken }, &v, bareCommand); !errors.Is(err, broken) {
		t.Errorf("meanwhile something broke: error %v", err)
	}
	p, in, err := startSelf(t.Output(), bareCommand)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(in.Close(), p.await(t.Context(), nil)); err != nil {
		t.Error(err)
	}
	if err := p.result(&v); err == nil || !strings.Contains(err.Error(), "result \"127.0.0.1:") {
		t.Errorf("an address for a result: error %v", err)
	}
	if err := p.result(&v); err == nil || !strings.Contains(err.Error(), "bare printed no result") {
		t.Errorf("no result: error %v", err)
	}
}

// Each client gets a history that begins somewhere and more than it needs.
func TestResume(t *testing.T) {
	const clients, messages = 5, 20
	again := make(chan struct{}) // the first came for the second time
	to := scripted(t, string(bareAnswer), func(n int, c net.Conn, _ *bufio.Reader) {
		if n == clients {
			close(again)
		}
		for i := range int64(messages + 3) {
			if _, err := c.Write(serverFrame(64, int64(n)+100+i)); err != nil {
				return
			}
		}
	})
	b := &bench{size: 64, log: t.Output()}
	o, err := startResumers(t.Context(), b, to, clients, messages, func(time.Duration) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-again:
	case <-o.process.done: // before it was told to
	}
	v, err := o.end(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.Messages < 2*clients*messages || v.Messages%(clients*messages) != 0 || v.Took <= 0 {
		t.Errorf("result %+v", v)
	}

	// A history with a hole.
	to = scripted(t, string(bareAnswer)+string(frames(1, 2, 4)), nil)
	if err := resume(to, clients, messages, 64, func() {}); err == nil || !strings.Contains(err.Error(), "where number 3 should be") {
		t.Errorf("hole: error %v", err)
	}
	to = scripted(t, "HTTP/1.1 503 Service Unavailable\r\n\r\n", nil)
	if _, err := startResumers(t.Context(), b, to, clients, messages, func(time.Duration) error { return nil }); err == nil || !strings.Contains(err.Error(), "ended: exit status 1") {
		t.Errorf("refused: error %v", err)
	}
}

func TestWaits(t *testing.T) {
	f := fan{}
	for i := range int64(100) {
		f.latency = append(f.latency, (i+1)*int64(time.Millisecond))
	}
	w := f.waits()
	w.note = "n"
	if got := fmt.Sprint(w); got != "p50 50.0 ms, p99 99.0 ms of 100 deliveries; n" {
		t.Errorf("%q", got)
	}
}
