package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"warren/gateway"
)

// published is what Publish returned.
type published struct {
	id  gateway.MessageID
	err error
}

// publishLater publishes payload in a goroutine.
func publishLater(ctx context.Context, n *node, payload string) <-chan published {
	done := make(chan published, 1)
	go func() {
		id, err := n.Publish(ctx, gateway.Message{Channel: "room", Payload: []byte(payload), Text: true})
		done <- published{id, err}
	}()
	return done
}

// Publish returns what the exchange says, and not before.
func TestPublishWaitsForTheConfirm(t *testing.T) {
	ex := newRecorder()
	n := start(t, gateway.Options{}, ex)
	refused := errors.New("refused for good")
	for i, want := range []published{{id: gateway.MessageID{Publisher: "p", Seq: 7}}, {err: refused}} {
		done := publishLater(within(t), n, "hello")
		m := ex.wait(within(t), i+1)[i]
		if m.Channel != "room" || string(m.Payload) != "hello" || !m.Text || m.Client != 0 {
			t.Errorf("published %+v", m)
		}
		select {
		case got := <-done:
			t.Errorf("returned %v before the confirm", got)
		default:
		}
		m.Settled(want.id, want.err)
		if got := <-done; got != want {
			t.Errorf("returned %v, want %v", got, want)
		}
	}
}

// refusing tells of each message that the recorder was too busy for.
type refusing struct {
	*recorder
	refused chan struct{}
}

func (r *refusing) Publish(m gateway.Message) error {
	err := r.recorder.Publish(m)
	if err == gateway.ErrBusy {
		r.refused <- struct{}{}
	}
	return err
}

// While there is no room all wait, and go on when there is.
func TestPublishWaitsForRoom(t *testing.T) {
	const count = 3
	ex := &refusing{newRecorder(), make(chan struct{}, 2*count)}
	ex.setRoom(0)
	n := start(t, gateway.Options{}, ex)
	to := <-ex.to
	ctx, cancel := context.WithCancel(within(t))
	cancel()
	if _, err := n.Publish(ctx, gateway.Message{}); !errors.Is(err, gateway.ErrAway) || !strings.Contains(err.Error(), "not confirmed") {
		t.Errorf("no room, and no time left: %v", err)
	}
	<-ex.refused
	var done []<-chan published
	for range count {
		done = append(done, publishLater(within(t), n, "x"))
	}
	for i := range count {
		for range count - i {
			<-ex.refused
		}
		ex.setRoom(1)
		to.Ready() // one gets in, the others wait again
		m := ex.wait(within(t), i+1)[i]
		m.Settled(gateway.MessageID{Publisher: "p", Seq: uint64(i + 1)}, nil)
	}
	for _, d := range done {
		if got := <-d; got.err != nil || got.id.Seq == 0 {
			t.Errorf("returned %v", got)
		}
	}
	if got := ex.wait(within(t), count); len(got) != count {
		t.Errorf("%d were published", len(got))
	}
}

func TestPublishIsNotConfirmedInTime(t *testing.T) {
	ex := newRecorder()
	n := start(t, gateway.Options{}, ex)
	ctx, cancel := context.WithCancel(within(t))
	done := publishLater(ctx, n, "x")
	m := ex.wait(within(t), 1)[0]
	cancel()
	if got := <-done; got.err != gateway.ErrUnconfirmed || got.id != (gateway.MessageID{}) {
		t.Errorf("returned %v", got)
	}
	m.Settled(gateway.MessageID{Publisher: "p", Seq: 1}, nil) // blocks nobody
}

// Nothing is handed to an exchange that is away, or by a node that stops.
func TestPublishNowhere(t *testing.T) {
	ex := newRecorder()
	n := start(t, gateway.Options{}, ex)
	ex.mu.Lock()
	ex.status = errors.New("connecting to amqp://h/")
	ex.mu.Unlock()
	_, err := n.Publish(within(t), gateway.Message{})
	if !errors.Is(err, gateway.ErrAway) || !strings.Contains(err.Error(), "connecting to amqp://h/") {
		t.Errorf("away: %v", err)
	}
	if err := n.Status(); fmt.Sprint(err) != "connecting to amqp://h/" {
		t.Errorf("status %v", err)
	}
	n.stop()
	if _, err := n.Publish(within(t), gateway.Message{}); err != gateway.ErrStopping {
		t.Errorf("stopped: %v", err)
	}
	if err := n.Status(); err != gateway.ErrStopping {
		t.Errorf("stopped: status %v", err)
	}
	if got := ex.wait(within(t), 0); len(got) != 0 {
		t.Errorf("published %+v", got)
	}
}

// What one goroutine submits stays in order, also when it has to wait.
func TestSubmitKeepsOrder(t *testing.T) {
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 16 << 20}}, nil)
	c := dial(t, n, "/ws/room")
	const count = 20_000 // more than the exchange takes at once
	settled := make(chan error, count)
	ctx := within(t)
	go func() {
		for i := range count {
			err := n.Submit(ctx, gateway.Message{Channel: "room", Payload: fmt.Append(nil, i), Text: true,
				Settled: func(_ gateway.MessageID, err error) { settled <- err }})
			if err != nil {
				settled <- err
			}
		}
	}()
	for i := range count {
		expect(t, c, fmt.Sprint(i))
	}
	for range count {
		if err := <-settled; err != nil {
			t.Fatal(err)
		}
	}
}
