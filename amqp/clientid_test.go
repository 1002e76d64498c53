package amqp_test

import (
	"fmt"
	"testing"

	"warren/amqp"
	"warren/gateway"
)

// A client's own id counts within its user, or else its session, on whatever
// node; or else within its connection. What is dropped for it is confirmed.
func TestClientIDs(t *testing.T) {
	for name, mod := range deliveries(t) {
		t.Run(name, func(t *testing.T) {
			a := newNode(t, mod(t))
			b := newNode(t, func(o *amqp.Options) { mod(t)(o); o.Node = "other" })
			next, duplicates := 0, uint64(0)
			say := func(n *node, isNew bool, m gateway.Message) {
				t.Helper()
				m.Channel, m.Text = "room", true
				m.Payload = []byte("again")
				if isNew {
					m.Payload = fmt.Append(nil, next)
					next++
				} else {
					duplicates++
				}
				var s settling
				m.Settled = s.one(0)
				if err := n.Publish(m); err != nil {
					t.Fatal(err)
				}
				s.wait(t, 1) // then the other node's come behind it
			}
			say(a, true, gateway.Message{Client: 1, ClientID: "a"})
			say(a, false, gateway.Message{Client: 1, ClientID: "a"})
			say(a, true, gateway.Message{Client: 2, ClientID: "a"})
			say(a, true, gateway.Message{Client: 2, ClientID: "b"})
			say(b, true, gateway.Message{Client: 1, ClientID: "a"}) // another node's connection

			say(a, true, gateway.Message{Client: 3, ClientID: "a", Session: "s"})
			say(a, false, gateway.Message{Client: 3, ClientID: "a", Session: "s"})
			say(a, false, gateway.Message{Client: 4, ClientID: "a", Session: "s"}) // it came back
			say(b, false, gateway.Message{Client: 4, ClientID: "a", Session: "s"})
			say(b, true, gateway.Message{Client: 4, ClientID: "a", Session: "other"})

			say(a, true, gateway.Message{Client: 3, ClientID: "a", User: "ann"})
			say(a, false, gateway.Message{Client: 4, ClientID: "a", User: "ann"})
			say(b, false, gateway.Message{Client: 4, ClientID: "a", User: "ann", Session: "new"})
			say(a, true, gateway.Message{Client: 4, ClientID: "a", User: "bob", Session: "new"})
			say(a, true, gateway.Message{Client: 4, ClientID: "a", User: "s", Session: "s"}) // no session's

			say(a, true, gateway.Message{Client: 4, User: "ann", Session: "s"})
			say(a, true, gateway.Message{Client: 4, User: "ann", Session: "s"})
			for _, n := range []*node{a, b} {
				n.wantNumbers(t, next)
				if got := n.Stats().Consume; got.Delivered != uint64(next) || got.Duplicates != duplicates {
					t.Errorf("counters: %+v", got)
				}
			}
		})
	}
}

// deliveries are the two ways, by name.
func deliveries(t *testing.T) map[string]func(*testing.T) func(*amqp.Options) {
	t.Helper()
	return map[string]func(*testing.T) func(*amqp.Options){
		"queue":  func(*testing.T) func(*amqp.Options) { return func(*amqp.Options) {} },
		"stream": func(t *testing.T) func(*amqp.Options) { return streaming(t) },
	}
}
