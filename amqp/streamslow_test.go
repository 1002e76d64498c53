package amqp_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"warren/amqp"
)

// A backlog over a link so slow that it outlasts every time limit is read all
// the same, in one attachment.
func TestStreamSlowLink(t *testing.T) {
	p, n, other := away(t, func(o *amqp.Options) { o.Heartbeat = 30 * time.Second })
	const messages, size = 5, 200_000
	p.leave(t, n)
	for i := range messages {
		other.publish(t, "room", fmt.Sprint(i, strings.Repeat(" ", size)))
	}
	other.flush(t)
	before := n.Stats().Consume.Attaching
	p.setSlow(t, 60_000) // bytes a second: a message takes 3.3 s, all of them 17 s
	p.accept(t)
	for i, m := range n.wait(t, messages) {
		if !strings.HasPrefix(string(m.Payload), fmt.Sprint(i, " ")) {
			t.Fatalf("message %d is %.5q", i, m.Payload)
		}
	}
	n.waitReady(t)
	if gaps := n.announced(); len(gaps) > 0 {
		t.Errorf("gaps: %+v", gaps)
	}
	if tries := n.Stats().Consume.Attaching - before; tries > 200 {
		t.Errorf("%d attempts", tries)
	}
	if l := n.logs.lines("gives nothing"); len(l) > 0 {
		t.Errorf("taken for silent: %q", l)
	}
}

// setSlow makes what the broker sends pass at so many bytes a second.
func (p *proxy) setSlow(t *testing.T, rate int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace = func(to net.Conn, b []byte) error {
		const step = 20 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		for len(b) > 0 {
			<-tick.C
			n := min(len(b), rate*int(step)/int(time.Second))
			if _, err := to.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	}
}
