package gateway_test

import (
	"fmt"
	"testing"

	"warren/gateway"
)

// deliverEncoded is deliverTo for clients of JSON or of events.
func deliverEncoded(t *testing.T, o gateway.Options, events bool, clients, messages int) float64 {
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	var next []func() error // of each client: a whole message
	for range clients {
		if events {
			c := openEvents(t, n, "/sse/room")
			c.event()
			next = append(next, func() error { // its id, its data, an empty line
				for range 3 {
					if _, err := c.in.ReadSlice('\n'); err != nil {
						return err
					}
				}
				return nil
			})
			continue
		}
		c := openJSON(t, n, "/ws/room")
		c.answer("subscribed")
		c.buf = make([]byte, 1024)
		next = append(next, func() error { _, err := c.listener.next(); return err })
	}
	m := gateway.Message{
		Channel: "room", Payload: []byte(`{"text":"Hello, world!","n":[1,2,3]}`), Text: true,
		MessageID: gateway.MessageID{Publisher: "node.boot", Seq: 1},
	}
	step := func() {
		m.MessageID.Seq++
		to.Deliver(m)
		for _, f := range next {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 100 {
		step() // pools and buffers grow
	}
	return mallocs(func() {
		for range messages {
			step()
		}
	})
}

// A delivered copy costs no allocation in the other encodings, either, and a
// message two at most.
func TestDeliverEncodedAllocations(t *testing.T) {
	const messages = 1500
	for _, events := range []bool{false, true} {
		for _, o := range []gateway.Options{{}, keeping(1000)} {
			what := fmt.Sprintf("events %v, history of %d", events, o.History.Messages)
			few, many := deliverEncoded(t, o, events, 1, messages), deliverEncoded(t, o, events, 20, messages)
			if perMessage := few / messages; perMessage > 2 {
				t.Errorf("%s: %.2f allocations a message", what, perMessage)
			}
			if perCopy := (many - few) / (19 * messages); perCopy > 0.005 {
				t.Errorf("%s: %.4f allocations a delivered copy", what, perCopy)
			}
		}
	}
}
