package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rabbitmq/amqp091-go"

	"warren/amqp/amqptest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// An AMQP program answers what clients of two nodes ask. The answer reaches who
// asked and nobody else; if that one is gone it reaches nobody, and the node goes
// on. A raw client gets it as a frame, one of the JSON protocol as a direct
// message, and the JavaScript client by its promise.
func TestRequestReply(t *testing.T) {
	b := rigtest.Broker(t)
	for _, delivery := range []string{"queue", "stream"} {
		t.Run(delivery, func(t *testing.T) {
			config := "amqp: {delivery: " + delivery + "}\n"
			nodes := []*rigtest.Node{rigtest.ReadyNode(t, "one", b.URL(), config), rigtest.ReadyNode(t, "two", b.URL(), config)}
			p := newReplier(t, b)
			for i, n := range nodes {
				asker, other := speakJSON(t, n, "/ws/answers"), speakJSON(t, n, "/ws")
				asker.next("subscribed")
				other.say("subscribe", map[string]any{"channel": "questions"})
				other.next("subscribed")
				raw, there := browse(t, n, "/ws/raw"), browse(t, nodes[1-i], "/ws/questions")

				asker.say("publish", map[string]any{"channel": "questions", "text": "who?", "ref": 7})
				p.answer(p.asked("who?"))
				got := asker.gather("ack", "direct")
				if direct, ack := got["direct"], got["ack"]; direct.ID != ack.MID || direct.Text != "to who?" || direct.ID == "" {
					t.Errorf("%s: for %+v came %+v", n.Name, ack, direct)
				}
				raw.send(asText, "raw?")
				raw.expect(asText, "raw?") // it listens there itself
				p.answer(p.asked("raw?"))
				raw.expect(asText, "to raw?")

				p.gone(t, n)

				// Whatever else had come would have come before this.
				p.say("questions", "over")
				if heard := []string{other.next("message").Text, other.next("message").Text}; heard[0] != "who?" || heard[1] != "over" {
					t.Errorf("%s: another client heard %q", n.Name, heard)
				}
				there.expect(asText, "who?")
				there.expect(asText, "over")
				p.asked("over")
				p.say("answers", "over")
				p.asked("over")
				if m := asker.next("message"); m.Text != "over" {
					t.Errorf("%s: who asked heard %q", n.Name, m.Text)
				}
				askModule(t, p, n)
			}
			for _, n := range nodes {
				n.Says(map[string]int{"level=WARN": 0, "level=ERROR": 0})
			}
		})
	}
}

// askModule asks by the JavaScript client.
func askModule(t *testing.T, p *replier, n *rigtest.Node) {
	t.Helper()
	c := rigtest.NewCrowd(t, n)
	c.Join(rig.CrowdClient{ID: 1, URL: "ws://" + n.Addr() + "/ws", Channels: []string{"module"}, Channel: "module"})
	answered := make(chan string, 1)
	go func() {
		ctx, cancel := rigtest.Context(t)
		defer cancel()
		r, err := c.Request(ctx, 1, "questions/2", "module?")
		answered <- fmt.Sprint(r.Kind, " ", r.Data, " ", r.MID != "", " ", err)
	}()
	p.answer(p.asked("module?"))
	if got, want := <-answered, "text to module? true <nil>"; got != want {
		t.Errorf("%s: the JavaScript client's request got %s, want %s", n.Name, got, want)
	}
}

// replier is a program that answers.
type replier struct {
	*program
	questions <-chan amqp091.Delivery
}

func newReplier(t *testing.T, b *amqptest.Server) *replier {
	t.Helper()
	p := newProgram(t, b)
	return &replier{p, p.listen()}
}

// asked is the next message on the exchange, which must be this.
func (p *replier) asked(text string) amqp091.Delivery {
	p.t.Helper()
	select {
	case d := <-p.questions:
		if string(d.Body) != text {
			p.t.Fatalf("the program heard %q, want %q", d.Body, text)
		}
		return d
	case <-time.After(rigtest.Patience):
		p.t.Fatalf("the program never heard %q", text)
		panic("unreachable")
	}
}

// answer returns when RabbitMQ has the answer.
func (p *replier) answer(d amqp091.Delivery) {
	p.t.Helper()
	if d.ReplyTo == "" || d.CorrelationId == "" {
		p.t.Fatalf("to %q nobody can answer: reply_to %q, correlation_id %q", d.Body, d.ReplyTo, d.CorrelationId)
	}
	direct := program{t: p.t, ch: p.ch} // the default exchange
	direct.publish(d.ReplyTo, amqp091.Publishing{
		CorrelationId: d.CorrelationId,
		MessageId:     d.MessageId,
		ContentType:   "text/plain",
		Body:          append([]byte("to "), d.Body...),
	})
}

// gone has a client ask and leave, and answers then. Other clients, newcomers
// too, hear nothing of that, as the answers to their own questions show.
func (p *replier) gone(t *testing.T, n *rigtest.Node) {
	t.Helper()
	leaver, stayer := speakJSON(t, n, "/ws"), speakJSON(t, n, "/ws")
	leaver.say("publish", map[string]any{"channel": "gone", "text": "gone?"})
	question := p.asked("gone?")
	if err := leaver.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	// Some of them have its place in the node's memory, none its number.
	newcomers := []*jsonClient{speakJSON(t, n, "/ws"), speakJSON(t, n, "/ws"), speakJSON(t, n, "/ws")}
	p.answer(question)
	for _, c := range append(newcomers, stayer) {
		c.say("publish", map[string]any{"channel": "gone", "text": "there?"})
		p.answer(p.asked("there?"))
		if d := c.next("direct"); d.Text != "to there?" {
			t.Errorf("%s heard %q", c.where, d.Text)
		}
	}
}
