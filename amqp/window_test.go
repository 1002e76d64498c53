package amqp

import (
	"testing"
	"time"

	"warren/gateway"
)

// Neither the window nor whom it tells costs an allocation a message.
func TestWindowDoesntAllocate(t *testing.T) {
	for name, tell := range map[string]func(gateway.MessageID, error){"nobody asks": nil, "asked": func(gateway.MessageID, error) {}} {
		t.Run(name, func(t *testing.T) {
			x, err := New(Options{URLs: []string{"amqp://127.0.0.1"}})
			if err != nil {
				t.Fatal(err)
			}
			p := &publisher{x: x, ready: func() {}}
			m := gateway.Message{Channel: "room", Payload: make([]byte, 64), Client: 7, Session: "s", ClientID: "a", Settled: tell}
			now := time.Now()
			round := func() {
				for range 64 {
					x.window.put(m, now)
					x.window.next()
				}
				p.drop(64, nil)
			}
			round()
			if n := testing.AllocsPerRun(10, round); n > 0 {
				t.Errorf("%v allocations", n)
			}
			if count, bytes, sent := x.window.state(); count != 0 || bytes != 0 || sent != 0 {
				t.Errorf("left: %d messages, %d bytes, %d sent", count, bytes, sent)
			}
		})
	}
}
