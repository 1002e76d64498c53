package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"

	"warren/gateway"
)

// sink is a gateway that notes what an exchange does.
type sink struct {
	events chan string // "deliver 1", "settle 1", by payload
	got    chan gateway.Message
}

func (s *sink) Deliver(m gateway.Message) {
	s.events <- "deliver " + string(m.Payload)
	m.Payload = append([]byte(nil), m.Payload...)
	s.got <- m
}
func (s *sink) Gap(gateway.Gap)       {}
func (s *sink) Hold() <-chan struct{} { return nil }
func (s *sink) Ready()                {}

// embedded runs one until the test ends. Call it inside a bubble.
func embedded(t *testing.T, e *gateway.Embedded) *sink {
	t.Helper()
	s := &sink{events: make(chan string, 100), got: make(chan gateway.Message, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, s) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// What is delivered has a name and nothing of its sender's, and is settled then,
// under that name.
func TestEmbeddedSettles(t *testing.T) {
	for node, want := range map[string]string{"": "embedded", "node-1": "node-1"} {
		synctest.Test(t, func(t *testing.T) {
			e := gateway.NewEmbedded()
			if node != "" {
				e.Node = node
			}
			s := embedded(t, e)
			ids := make(chan gateway.MessageID, 3)
			for i := range 3 {
				m := gateway.Message{
					Channel: "room", Payload: strconv.AppendInt(nil, int64(i), 10), Text: true,
					Client: 7, User: "ann", Session: "secret", ClientID: strconv.Itoa(i),
				}
				if i != 1 {
					m.Settled = func(id gateway.MessageID, err error) {
						s.events <- fmt.Sprint("settle ", i)
						if err != nil {
							t.Error(err)
						}
						ids <- id
					}
				}
				if err := e.Publish(m); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			for _, want := range []string{"deliver 0", "settle 0", "deliver 1", "deliver 2", "settle 2"} {
				if got := <-s.events; got != want {
					t.Errorf("%q instead of %q", got, want)
				}
			}
			name := regexp.MustCompile("^" + want + `\.[0-9a-f]{12}-[1-3]$`)
			for i := range 3 {
				m := <-s.got
				if m.MessageID.Seq != uint64(i+1) || !name.MatchString(m.MessageID.String()) {
					t.Errorf("message %d is %v", i, m.MessageID)
				}
				if m.Channel != "room" || !m.Text || m.Client != 0 || m.User != "" || m.Session != "" || m.ClientID != "" || m.Settled != nil || !m.At.IsZero() {
					t.Errorf("message %d: %+v", i, m)
				}
				if i != 1 {
					if id := <-ids; id != m.MessageID {
						t.Errorf("message %v was settled as %v", m.MessageID, id)
					}
				}
			}
		})
	}
}

// What is refused is not settled.
func TestEmbeddedBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := gateway.NewEmbedded()
		taken, settled := 0, 0
		count := func(gateway.MessageID, error) { settled++ }
		m := gateway.Message{Settled: count}
		err := e.Publish(m)
		for ; err == nil; err = e.Publish(m) {
			taken++
		}
		if !errors.Is(err, gateway.ErrBusy) {
			t.Fatal(err)
		}
		s := &sink{events: make(chan string, taken), got: make(chan gateway.Message, taken)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx, s) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if taken == 0 || settled != taken || len(s.got) != taken {
			t.Errorf("%d taken, %d settled, %d delivered", taken, settled, len(s.got))
		}
	})
}

// What a client sends again is confirmed and not delivered, as by RabbitMQ.
func TestEmbeddedClientIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := gateway.NewEmbedded()
		s := embedded(t, e)
		settled := 0
		say := func(isNew bool, m gateway.Message) {
			t.Helper()
			m.Settled = func(gateway.MessageID, error) { settled++ }
			settled = 0
			if err := e.Publish(m); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := len(s.got) > 0; got != isNew || settled != 1 {
				t.Errorf("%+v: delivered %v, settled %d times", m, got, settled)
			}
			for len(s.got) > 0 {
				<-s.got
				<-s.events
			}
		}
		say(true, gateway.Message{Client: 1})
		say(true, gateway.Message{Client: 1})
		say(true, gateway.Message{Client: 1, ClientID: "a"})
		say(false, gateway.Message{Client: 1, ClientID: "a"})
		say(true, gateway.Message{Client: 1, ClientID: "b"})
		say(true, gateway.Message{Client: 2, ClientID: "a"})
		say(true, gateway.Message{Client: 1, ClientID: "a", Session: "s"})
		say(false, gateway.Message{Client: 2, ClientID: "a", Session: "s"})
		say(true, gateway.Message{Client: 2, ClientID: "a", Session: "other"})
		say(true, gateway.Message{Client: 1, ClientID: "a", User: "s", Session: "s"})
		say(false, gateway.Message{Client: 2, ClientID: "a", User: "s", Session: "new"})
	})
}
