package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rabbitmq/amqp091-go"

	"warren/internal/rig/rigtest"
)

const (
	asText   = websocket.MessageText
	asBinary = websocket.MessageBinary
)

// browser is an independent WebSocket client.
type browser struct {
	*websocket.Conn
	t *testing.T
	n *rigtest.Node
}

func browse(t *testing.T, n *rigtest.Node, path string) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rigtest.Patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+n.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &browser{conn, t, n}
}

func (b *browser) expect(kind websocket.MessageType, body string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), rigtest.Patience)
	defer cancel()
	gotKind, got, err := b.Read(ctx)
	if err != nil {
		b.t.Fatalf("instead of %q from %s: %v", body, b.n.Name, err)
	}
	if gotKind != kind || string(got) != body {
		b.t.Errorf("got %v %q from %s, want %v %q", gotKind, got, b.n.Name, kind, body)
	}
}

func (b *browser) send(kind websocket.MessageType, body string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), rigtest.Patience)
	defer cancel()
	if err := b.Write(ctx, kind, []byte(body)); err != nil {
		b.t.Fatal(err)
	}
}

// What an AMQP program publishes reaches the browsers of both nodes, on the
// channel that is its routing key and on root, with the opcode that its content
// type asks for.
func TestProgramToBrowsers(t *testing.T) {
	b := rigtest.Broker(t)
	var room, root []*browser
	for _, name := range []string{"one", "two"} {
		n := rigtest.ReadyNode(t, name, b.URL(), "")
		room = append(room, browse(t, n, "/ws/room"))
		root = append(root, browse(t, n, "/ws"))
	}
	p := newProgram(t, b)
	for _, tt := range []struct {
		contentType, body string
		kind              websocket.MessageType
	}{
		{"", "grüß dich", asText},
		{"", "\xff\xfe", asBinary},
		{"", "", asText},
		{"text/plain", "plain", asText},
		{"text/html; charset=utf-8", "<b>bold</b>", asText},
		{"Text/CSV", "1,2", asText},
		{"text/plain", "broken \xc3", asBinary},
		{"application/json", `{"a": 1}`, asText},
		{"application/json; charset=utf-8", `{}`, asText},
		{"application/json", "\x80", asBinary},
		{"application/octet-stream", "valid UTF-8", asBinary},
		{"application/jsonlines", "{}", asBinary},
		{"image/png", "\x89PNG", asBinary},
		{"text", "no type", asBinary},
	} {
		p.publish("room", amqp091.Publishing{ContentType: tt.contentType, Body: []byte(tt.body)})
		for _, to := range [][]*browser{room, root} {
			for _, b := range to {
				b.expect(tt.kind, tt.body)
			}
		}
	}

	// The routing key is the channel; one that is no channel is for root alone.
	for _, key := range []string{"", "a room", "room/", "/room", "röom", "a//b", strings.Repeat("r", 201), "room2"} {
		p.say(key, "key "+key)
		for _, b := range root {
			b.expect(asText, "key "+key)
		}
	}
	p.say("room", "for all again")
	for _, b := range append(room, root...) {
		b.expect(asText, "for all again") // in the room nothing came before it
	}

	longest := strings.Repeat("c", 200)
	there := browse(t, room[0].n, "/ws/"+longest)
	p.say(longest, "far away")
	there.expect(asText, "far away")
}

// What a browser sends reaches the queue of an AMQP program, with properties by
// which it can be read.
func TestBrowserToProgram(t *testing.T) {
	b := rigtest.Broker(t)
	n := rigtest.ReadyNode(t, "node-1.eu", b.URL(), "")
	deliveries := newProgram(t, b).listen()
	id := regexp.MustCompile(`^node-1\.eu\.([0-9a-f]{12})-([1-9][0-9]*)$`)
	boot := ""
	began := time.Now().Truncate(time.Second) // AMQP's timestamps have seconds
	for i, tt := range []struct {
		path, key string
		kind      websocket.MessageType
		body      string
		content   string
	}{
		{"/ws/room", "room", asText, "grüß dich", "text/plain; charset=utf-8"},
		{"/ws/room", "room", asBinary, "\x00\xff", "application/octet-stream"},
		{"/ws/room", "room", asBinary, "valid UTF-8", "application/octet-stream"},
		{"/ws/room", "room", asText, "", "text/plain; charset=utf-8"},
		{"/ws/A/b.c_d:e-f~9", "A/b.c_d:e-f~9", asText, "x", "text/plain; charset=utf-8"},
		{"/ws", "", asText, "to root", "text/plain; charset=utf-8"},
		{"/ws", "", asText, strings.Repeat("é", 32<<10), "text/plain; charset=utf-8"}, // the largest there may be
	} {
		browse(t, n, tt.path).send(tt.kind, tt.body)
		var d amqp091.Delivery
		select {
		case d = <-deliveries:
		case <-time.After(rigtest.Patience):
			t.Fatalf("message %d never came", i)
		}
		type message struct {
			key, body, content, app string
			mode                    uint8
		}
		got := message{d.RoutingKey, string(d.Body), d.ContentType, d.AppId, d.DeliveryMode}
		if want := (message{tt.key, tt.body, tt.content, "warren", amqp091.Transient}); got != want {
			t.Errorf("message %d: got %.200s, want %.200s", i, fmt.Sprintf("%+q", got), fmt.Sprintf("%+q", want))
		}
		if d.Timestamp.Before(began) || d.Timestamp.After(time.Now()) {
			t.Errorf("message %d: timestamp %v, sent after %v", i, d.Timestamp, began)
		}
		switch parts := id.FindStringSubmatch(d.MessageId); {
		case parts == nil:
			t.Errorf("message %d: id %q", i, d.MessageId)
		case parts[2] != strconv.Itoa(i+1) || boot != "" && parts[1] != boot:
			t.Errorf("message %d of boot %s: id %q", i, boot, d.MessageId)
		default:
			boot = parts[1]
		}
	}
}
