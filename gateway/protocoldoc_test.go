package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"warren/gateway"
)

// TestProtocolExamples runs the examples of docs/protocol.md, in the order in
// which they stand there, against one node.
func TestProtocolExamples(t *testing.T) {
	text, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	ex := newStage()
	n := start(t, gateway.Options{Node: "node1", History: gateway.HistoryOptions{Messages: 100}}, ex)
	ex.to = <-ex.linked
	run := 0
	for _, block := range regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		example := &example{t: t, n: n, ex: ex, same: map[string]string{}}
		switch lines := strings.Split(strings.TrimSuffix(block[1], "\n"), "\n"); {
		case strings.HasPrefix(lines[0], "connect "):
			example.talk(strings.TrimPrefix(lines[0], "connect "), lines[1:])
		case strings.HasPrefix(lines[0], "GET "):
			example.stream(block[1])
		default:
			t.Errorf("what to do with %q?", lines[0])
			continue
		}
		run++
	}
	if run < 8 {
		t.Errorf("only %d examples were found", run)
	}
}

// stage is an exchange in which the test can make things happen.
type stage struct {
	*gateway.Embedded
	linked chan gateway.Receiver
	to     gateway.Receiver
	client atomic.Uint64 // who published last
}

func newStage() *stage {
	return &stage{Embedded: gateway.NewEmbedded(), linked: make(chan gateway.Receiver, 1)}
}

func (s *stage) Run(ctx context.Context, to gateway.Receiver) error {
	s.linked <- to
	return s.Embedded.Run(ctx, to)
}

func (s *stage) Publish(m gateway.Message) error {
	s.client.Store(uint64(m.Client))
	return s.Embedded.Publish(m)
}

type example struct {
	t    *testing.T
	n    *node
	ex   *stage
	same map[string]string // what is in the text, and what came in its place
}

// talk is an example of a connection.
func (e *example) talk(path string, lines []string) {
	e.t.Helper()
	ctx := within(e.t)
	c, _, err := websocket.Dial(ctx, e.n.url(path), &websocket.DialOptions{Subprotocols: []string{"warren.v1.json"}})
	if err != nil {
		e.t.Fatalf("connect %s: %v", path, err)
	}
	defer c.CloseNow()
	// What comes may come in another order than it stands there: an ack before
	// its message.
	var ahead []map[string]any
	for _, line := range lines {
		what, rest := line[:2], line[2:]
		switch what {
		case "> ":
			if err := c.Write(ctx, websocket.MessageText, []byte(e.put(rest))); err != nil {
				e.t.Fatal(err)
			}
		case "< ":
			var want map[string]any
			if err := json.Unmarshal([]byte(rest), &want); err != nil {
				e.t.Fatalf("%s: %v", line, err)
			}
			for found := false; !found; {
				for i, got := range ahead {
					if found = got["type"] == want["type"]; found {
						ahead = append(ahead[:i:i], ahead[i+1:]...)
						e.compare(line, want, got)
						break
					}
				}
				if found {
					break
				}
				_, b, err := c.Read(ctx)
				if err != nil {
					e.t.Fatalf("%s: %v; so far unexpected: %v", line, err, ahead)
				}
				var got map[string]any
				if err := json.Unmarshal(b, &got); err != nil {
					e.t.Fatalf("%s: %v", b, err)
				}
				ahead = append(ahead, got)
			}
		case "! ":
			e.happen(rest)
		default:
			e.t.Fatalf("line %q", line)
		}
	}
	if len(ahead) > 0 {
		e.t.Errorf("connect %s: also came %v", path, ahead)
	}
}

// put puts what came into what is sent.
func (e *example) put(text string) string {
	for said, came := range e.same {
		text = strings.ReplaceAll(text, said, came)
	}
	return text
}

// happen is what the client has no part in.
func (e *example) happen(what string) {
	switch {
	case strings.HasPrefix(what, "messages are lost"):
		e.ex.to.Gap(gateway.Gap{Reason: "an example"})
	case strings.HasPrefix(what, "a program answers "):
		mid, body, _ := strings.Cut(strings.TrimPrefix(what, "a program answers "), " with ")
		e.ex.to.Deliver(gateway.Message{
			Client: gateway.ConnID(e.ex.client.Load()), Payload: []byte(body), Text: true, MessageID: gateway.MessageID{Publisher: e.put(mid)},
		})
	default:
		e.t.Fatalf("what is %q?", what)
	}
}

// differs are the fields whose values differ each time: the same text stands for
// the same value.
var differs = map[string]bool{"id": true, "mid": true, "from": true, "to": true, "connection": true, "node": true, "at": true}

func (e *example) compare(line string, want, got map[string]any) {
	e.t.Helper()
	for name, w := range want {
		g, ok := got[name]
		switch {
		case !ok:
			e.t.Errorf("%s: no %s in %v", line, name, got)
		case name == "message":
			if text, _ := g.(string); text == "" {
				e.t.Errorf("%s: message %v", line, g)
			}
		case name == "at":
			if ms, _ := g.(float64); time.Since(time.UnixMilli(int64(ms))).Abs() > time.Hour {
				e.t.Errorf("%s: at %v", line, g)
			}
		case differs[name]:
			said, came := fmt.Sprint(w), fmt.Sprint(g)
			if shape(said) != shape(came) || e.same[said] != "" && e.same[said] != came {
				e.t.Errorf("%s: %s is %q, was %q", line, name, came, e.same[said])
			}
			e.same[said] = came
		case !reflect.DeepEqual(w, g):
			e.t.Errorf("%s: %s is %v", line, name, g)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			e.t.Errorf("%s: also %s: %v", line, name, got[name])
		}
	}
}

// shape is what ids have in common: their dashes.
func shape(s string) int { return strings.Count(s, "-") }

// stream is an example of an event stream: request, empty line, response.
func (e *example) stream(block string) {
	e.t.Helper()
	request, response, _ := strings.Cut(block, "\n\n")
	c, err := net.Dial("tcp", e.n.Addr().String())
	if err != nil {
		e.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		e.t.Fatal(err)
	}
	if _, err := io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n")+"\r\n\r\n"); err != nil {
		e.t.Fatal(err)
	}
	r := bufio.NewReader(c)
	next := func() string {
		line, err := r.ReadString('\n')
		if err != nil {
			e.t.Fatalf("%s: %v", request, err)
		}
		return strings.TrimRight(line, "\r\n")
	}
	head, body, _ := strings.Cut(response, "\n\n")
	got := map[string]bool{}
	for line := next(); line != ""; line = next() {
		got[line] = true
	}
	for _, want := range strings.Split(head, "\n") {
		if !got[want] {
			e.t.Errorf("%s: no %q in %v", request, want, got)
		}
	}
	for _, want := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
		line := next()
		if field, _, _ := strings.Cut(want, ": "); field == "id" || field == "retry" {
			if !strings.HasPrefix(line, field+": ") {
				e.t.Errorf("%s: %q, want %s", request, line, field)
			}
		} else if line != want {
			e.t.Errorf("%s: %q, want %q", request, line, want)
		}
	}
}
