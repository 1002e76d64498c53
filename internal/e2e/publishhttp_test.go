package e2e_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"warren/internal/rig/rigtest"
)

// post publishes over HTTP on a node's admin listener.
func post(t *testing.T, n *rigtest.Node, path, contentType, body string) (answer *http.Response, text string) {
	t.Helper()
	client := http.Client{Timeout: rigtest.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Post("http://"+n.Admin()+path, contentType, strings.NewReader(body))
	rigtest.Check(t, err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	rigtest.Check(t, err)
	return answer, string(b)
}

// What is posted to one node reaches the clients of the other, under the id
// that the answer names. While RabbitMQ is away it is refused, and the answer says
// when to come back.
func TestPublishHTTP(t *testing.T) {
	b := rigtest.Broker(t)
	links, urls := rigtest.Links(t, b, "one")
	one := rigtest.ReadyNode(t, "one", urls[0], "amqp: {reconnect: {max: 1s}}")
	two := rigtest.ReadyNode(t, "two", b.URL(), "")
	raw, typed := browse(t, two, "/ws/room/1"), speakJSON(t, two, "/ws/room/1")
	typed.next("subscribed")

	// published checks an answer, and what came by it.
	published := func(answer, text string, data bool) {
		t.Helper()
		var a struct{ MID string }
		if err := json.Unmarshal([]byte(answer), &a); err != nil || a.MID == "" {
			t.Fatalf("answer %q: %v", answer, err)
		}
		raw.expect(asText, text)
		m := typed.next("message")
		got := m.Text
		if data {
			got = string(m.Data)
		}
		if m.MID != a.MID || got != text {
			t.Errorf("for %s came %+v", answer, m)
		}
	}
	answer, text := post(t, one, "/publish/room/1", "text/plain", "grüß dich")
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", answer.Status, text)
	}
	published(text, "grüß dich", false)
	answer, text = post(t, one, "/publish", "application/x-ndjson", `{"channel": "room/1", "data": {"n":  1}}`+"\n"+`{"channel": "room/1", "text": "two"}`+"\n")
	lines := strings.SplitAfter(text, "\n")
	if answer.StatusCode != http.StatusOK || len(lines) != 3 {
		t.Fatalf("%s %s", answer.Status, text)
	}
	published(lines[0], `{"n":  1}`, true)
	published(lines[1], "two", false)

	rigtest.Check(t, links.All[0].Cut())
	one.AwaitUnready("unavailable")
	answer, text = post(t, one, "/publish/room/1", "text/plain", "nobody hears this")
	after, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusServiceUnavailable || kind != "application/problem+json" || err != nil || after < 1 {
		t.Errorf("without RabbitMQ: %s, %v: %s", answer.Status, answer.Header, text)
	}
	if strings.Contains(text, "guest:guest") {
		t.Errorf("the refusal shows the password: %s", text)
	}
	rigtest.Check(t, links.All[0].Mend())
	one.AwaitReady()
	// That one of its links was lost it may still have to find out.
	rigtest.Await(t, func() error {
		if answer, text = post(t, one, "/publish/room/1", "text/plain", "back"); answer.StatusCode == http.StatusServiceUnavailable {
			return errors.New(text)
		}
		return nil
	})
	published(text, "back", false)
}
