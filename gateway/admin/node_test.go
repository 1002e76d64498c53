package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"warren/amqp"
	"warren/amqp/amqptest"
	"warren/gateway"
	"warren/gateway/admin"
)

// node is a gateway with an admin listener, both until the test ends.
type node struct {
	*server
	gateway *gateway.Gateway
}

func startNode(t *testing.T, o admin.Options, ex gateway.Exchange) *node {
	t.Helper()
	g, err := gateway.New(gateway.Options{Shards: 2, Clients: gateway.ClientOptions{MaxLag: 16 << 20}}, ex)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	return &node{start(t, o, g), g}
}

// listen connects a WebSocket client, which reads messages of any size.
func (n *node) listen(path string) *websocket.Conn {
	n.t.Helper()
	c, _, err := websocket.Dial(within(n.t), "ws://"+n.gateway.Addr().String()+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	c.SetReadLimit(-1)
	n.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func expect(t *testing.T, c *websocket.Conn, kind websocket.MessageType, want string) {
	t.Helper()
	got, body, err := c.Read(within(t))
	if err != nil || got != kind || string(body) != want {
		t.Fatalf("read %v %.100q, %v; want %v %.100q", got, body, err, kind, want)
	}
}

// ready waits until the node is.
func (n *node) ready() {
	n.t.Helper()
	ctx := within(n.t)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		r := n.do(n.request(http.MethodGet, "/readyz", "", nil))
		if r.StatusCode == http.StatusOK {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			n.t.Fatalf("not ready: %s", r.body)
		}
	}
}

// mid is the id that a single message was answered with.
func mid(t *testing.T, r reply) string {
	t.Helper()
	r.is(t, http.StatusOK, "")
	var id struct{ Mid string }
	if err := json.Unmarshal([]byte(r.body), &id); err != nil || id.Mid == "" {
		t.Fatalf("answer %q: %v", r.body, err)
	}
	return id.Mid
}

// What is published over HTTP reaches WebSocket clients as what they send does.
func testReachesClients(t *testing.T, n *node) {
	room, root, other := n.listen("/ws/a/room"), n.listen("/ws"), n.listen("/ws/other")
	ids := map[string]bool{}
	for _, m := range []struct {
		path, contentType, body string
		kind                    websocket.MessageType
		to                      []*websocket.Conn
	}{
		{"/publish/a/room", "text/plain", "grüß dich", websocket.MessageText, []*websocket.Conn{room, root}},
		{"/publish/a/room", "image/png", "\x89PNG\xff", websocket.MessageBinary, []*websocket.Conn{room, root}},
		{"/publish/a/room", "application/octet-stream", "text", websocket.MessageBinary, []*websocket.Conn{room, root}},
		{"/publish/a/room", "", "", websocket.MessageText, []*websocket.Conn{room, root}},
		{"/publish", "application/json", `{"to":"root"}`, websocket.MessageText, []*websocket.Conn{root}},
		{"/publish/other", "", strings.Repeat("x", 64<<10), websocket.MessageText, []*websocket.Conn{other, root}},
	} {
		ids[mid(t, n.post(m.path, m.contentType, m.body))] = true
		for _, c := range m.to {
			expect(t, c, m.kind, m.body)
		}
	}
	if len(ids) != 6 {
		t.Errorf("ids %v: not one for each message", ids)
	}
}

// A large batch arrives complete and in order, and so do the answers.
func testBatch(t *testing.T, n *node) {
	const count = 10_000
	c := n.listen("/ws/a")
	answer := n.later(n.request(http.MethodPost, "/publish", ndjson, strings.NewReader(numbered(count))))
	for i := range count {
		expect(t, c, websocket.MessageText, fmt.Sprint(i))
	}
	ids := outcomes(t, arrived(t, answer))
	if len(ids) != count {
		t.Fatalf("%d lines of answer", len(ids))
	}
	publisher, last := "", uint64(0)
	for i, id := range ids {
		dash := strings.LastIndexByte(id, '-')
		var seq uint64
		if _, err := fmt.Sscan(id[dash+1:], &seq); err != nil {
			t.Fatalf("line %d: %q: %v", i, id, err)
		}
		if i > 0 && (id[:dash] != publisher || seq != last+1) {
			t.Fatalf("line %d has %s behind %s-%d", i, id, publisher, last)
		}
		publisher, last = id[:dash], seq
	}
}

func TestWithEmbedded(t *testing.T) {
	n := startNode(t, admin.Options{}, gateway.NewEmbedded())
	testReachesClients(t, n)
	testBatch(t, n)
}

func exchange(t *testing.T, url string) *amqp.Exchange {
	t.Helper()
	ex, err := amqp.New(amqp.Options{
		URLs: []string{url}, Exchange: "admin", Node: "n",
		ReconnectMin: 20 * time.Millisecond, ReconnectMax: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ex
}

// With RabbitMQ: as above; then it stops answering, dies, and comes back.
func TestWithRabbitMQ(t *testing.T) {
	rabbit := amqptest.New(t, amqptest.Options{})
	n := startNode(t, admin.Options{ConfirmTimeout: patience}, exchange(t, rabbit.URL()))
	hasty := start(t, admin.Options{ConfirmTimeout: 100 * time.Millisecond}, n.gateway)
	n.ready()
	testReachesClients(t, n)
	testBatch(t, n)

	c := n.listen("/ws/room")
	if err := rabbit.Freeze(); err != nil {
		t.Fatal(err)
	}
	// It may take a moment to stand still.
	late := hasty.post("/publish/room", "", "late")
	for late.StatusCode == http.StatusOK {
		expect(t, c, websocket.MessageText, "late")
		late = hasty.post("/publish/room", "", "late")
	}
	late.is(t, http.StatusGatewayTimeout, "may be published yet")
	if err := rabbit.Thaw(); err != nil {
		t.Fatal(err)
	}
	expect(t, c, websocket.MessageText, "late")

	if err := rabbit.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitAway(t, n)
	n.post("/publish", ndjson, numbered(3)).is(t, http.StatusServiceUnavailable, "not published")
	if err := rabbit.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	n.ready()
	mid(t, n.post("/publish/room", "", "back"))
	expect(t, c, websocket.MessageText, "back") // and nothing of what was refused
}

// awaitAway waits until publishing is refused because the broker is gone.
func awaitAway(t *testing.T, n *node) {
	t.Helper()
	ctx := within(t)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for n.gateway.Status() == nil {
		<-poll.C
		if ctx.Err() != nil {
			t.Fatal("the loss of the broker was not noticed")
		}
	}
	r := n.post("/publish/room", "", "refused")
	r.is(t, http.StatusServiceUnavailable, "not published")
}
