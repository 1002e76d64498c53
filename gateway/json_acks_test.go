package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"warren/gateway"
)

func publishing(i int) string {
	return fmt.Sprintf(`{"type":"publish","channel":"room","data":%d,"ref":%d}`, i, i)
}

// A message is acknowledged when it is settled, not before; in that order; or
// else it was not accepted. Without a ref nobody asks.
func TestJSONAcks(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{}, r)
	c := openJSON(t, n, "/ws")
	for i := range 4 {
		c.ask(publishing(i))
	}
	c.ask(`{"type":"publish","channel":"room","data":4}`)
	all := r.wait(within(t), 5)
	c.quiet()
	if all[4].Settled != nil {
		t.Error("a message without a ref is asked about")
	}
	all[2].Settled(gateway.MessageID{Publisher: "n.b", Seq: 7}, nil)
	c.says(`{"type":"ack","mid":"n.b-7","ref":2}`)
	all[0].Settled(gateway.MessageID{}, errors.New("refused by \"x\""))
	c.says(`{"type":"error","code":"not_accepted","message":"refused by \"x\"","ref":0}`)
	for i := range 200 { // they are no errors of the client's
		c.ask(publishing(5 + i))
	}
	for i, m := range r.wait(within(t), 205)[5:] {
		m.Settled(gateway.MessageID{}, errors.New("no"))
		c.says(fmt.Sprintf(`{"type":"error","code":"not_accepted","message":"no","ref":%d}`, 5+i))
	}
	all[3].Settled(gateway.MessageID{Publisher: "another program's"}, nil)
	c.says(`{"type":"ack","mid":"another program's","ref":3}`)

	// Its slot is another's by then.
	left := all[1]
	_ = c.Close()
	awaitStats(t, n, "it has left", func(st gateway.Stats) bool { return st.Connections == 0 })
	for range 4 {
		d := openJSON(t, n, "/ws")
		if d.id == c.id {
			t.Errorf("connection %d again", c.id)
		}
		left.Settled(gateway.MessageID{Publisher: "n.b", Seq: 1}, nil)
		d.quiet()
	}
}

// Acks for who doesn't read them are bounded.
func TestJSONAcksUnread(t *testing.T) {
	t.Parallel()
	const count = 10_000
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 32 << 10, CloseTimeout: 3 * patience}}, r)
	c := openJSONWithin(t, n, "/ws/quiet", 32<<10)
	c.answer("subscribed")
	long := strings.Repeat("r", 56)
	for i := 0; i < count; i += 100 {
		var some []string
		for j := range 100 {
			some = append(some, fmt.Sprintf(`{"type":"publish","channel":"room","data":0,"ref":"%s%08d"}`, long, i+j))
		}
		c.ask(some...)
	}
	for i, m := range r.wait(within(t), count) {
		m.Settled(gateway.MessageID{Publisher: strings.Repeat("p", 300), Seq: uint64(i + 1)}, nil)
	}
	awaitStats(t, n, "it is closed", func(st gateway.Stats) bool { return st.Evicted == 1 && st.Closed[1013] == 1 })
	got := 0
	for {
		a, err := c.read()
		if closed := (closedError{}); errors.As(err, &closed) {
			if closed.code != 1013 || closed.reason != "slow consumer" {
				t.Error(err)
			}
			break
		}
		if err != nil || a.Type != "ack" || string(a.Ref) != fmt.Sprintf(`"%s%08d"`, long, got) {
			t.Fatalf("instead of ack %d: %s %v", got, a.whole, err)
		}
		got++
	}
	if got == 0 || got == count {
		t.Errorf("%d acks were read", got)
	}
}

// While the exchange is busy what is published waits, in order and as it was;
// all other commands are answered. It doesn't need its connection any more.
func TestJSONHeld(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		r := newRecorder()
		n := start(t, gateway.Options{}, r)
		to := <-r.to
		c := openJSON(t, n, "/ws?session=0123456789abcdef")
		const count = 20
		r.setRoom(2)
		for i := range count {
			field := []string{`"data":` + fmt.Sprint(i), `"text":"\u0030"`, `"base64":"AA=="`}[i%3]
			c.ask(fmt.Sprintf(`{"type":"publish","channel":"room/%d",%s,"ref":"r\n%d","id":"\u0069%d"}`, i, field, i, i))
		}
		c.ask(`{"type":"subscribe","channel":"room/1","ref":1}`)
		if a := c.answer("subscribed"); string(a.Ref) != "1" {
			t.Errorf("got %s", a.whole)
		}
		c.quiet()
		c.ask(`{"type":"unsubscribe","channel":"room/1"}`, `{"type":"x","ref":5}`)
		c.answer("unsubscribed")
		c.answer("error")
		if st := n.Stats(); st.Held != 1 || st.Inbound == 0 {
			t.Errorf("held: %+v", st)
		}
		if leaves {
			_ = c.SetLinger(0)
			_ = c.Close()
			awaitStats(t, n, "it has left", func(st gateway.Stats) bool { return st.Connections == 0 })
		}
		if got := r.wait(within(t), 2); len(got) != 2 {
			t.Fatalf("%d were published", len(got))
		}
		r.setRoom(7)
		to.Ready()
		if got := r.wait(within(t), 9); len(got) != 9 {
			t.Fatalf("%d were published", len(got))
		}
		r.setRoom(-1)
		to.Ready()
		for i, m := range r.wait(within(t), count) {
			payload := []string{fmt.Sprint(i), "0", "\x00"}[i%3]
			if m.Channel != fmt.Sprint("room/", i) || m.ClientID != fmt.Sprint("i", i) || string(m.Payload) != payload || m.Text != (i%3 < 2) ||
				m.Client != c.id || m.Session != "0123456789abcdef" || m.Settled == nil {
				t.Errorf("message %d: %+v", i, m)
				continue
			}
			m.Settled(gateway.MessageID{Publisher: "p", Seq: uint64(i + 1)}, nil)
			if !leaves {
				c.says(fmt.Sprintf(`{"type":"ack","mid":"p-%d","ref":"r\n%d"}`, i+1, i))
			}
		}
		awaitStats(t, n, "nothing is kept", func(st gateway.Stats) bool { return st.Inbound == 0 })
	}
}

// rejectingLater is busy, and then won't have it.
type rejectingLater struct {
	*recorder
}

func (r rejectingLater) Publish(m gateway.Message) error {
	if err := r.recorder.Publish(m); err != nil {
		return err
	}
	return errors.New("not this one")
}

// What was held and is refused then is not acknowledged, either.
func TestJSONHeldRefused(t *testing.T) {
	r := newRecorder()
	r.setRoom(0)
	n := start(t, gateway.Options{}, rejectingLater{r})
	to := <-r.to
	c := openJSON(t, n, "/ws")
	c.ask(publishing(1), publishing(2))
	c.quiet()
	r.setRoom(-1)
	to.Ready()
	for i := range 2 {
		if a := c.answer("error"); a.Code != "not_accepted" || a.Message != "not this one" || string(a.Ref) != fmt.Sprint(i+1) {
			t.Errorf("got %s", a.whole)
		}
	}
	c.quiet()
}

// Acks of many clients find theirs.
func TestJSONAcksOfMany(t *testing.T) {
	t.Parallel()
	const clients, each = 50, 40
	n := start(t, gateway.Options{Shards: 3}, nil)
	var all []*jsonConn
	for range clients {
		all = append(all, openJSON(t, n, "/ws"))
	}
	for i := range each {
		for j, c := range all {
			c.ask(fmt.Sprintf(`{"type":"publish","channel":"c/%d","data":{},"ref":"%d.%d"}`, j, j, i))
		}
	}
	for j, c := range all {
		for i := range each {
			if a := c.answer("ack"); string(a.Ref) != fmt.Sprintf(`"%d.%d"`, j, i) || !strings.HasPrefix(a.MID, "embedded.") {
				t.Fatalf("client %d, message %d: %s", j, i, a.whole)
			}
		}
	}
}
