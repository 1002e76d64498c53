package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// The README's first command, with the shipped file: page, health, and two
// clients that see each other.
func TestServesEmbedded(t *testing.T) {
	lines, addr := serveInProcess(t, "--config=../../config.yaml", "--listen=127.0.0.1:0")
	log := strings.Join(lines, "\n")
	for _, want := range []string{
		"configuration file ../../config.yaml",
		"embedded exchange: amqp.url is empty, messages stay in this process",
		"page=http://" + addr + " websocket=ws://" + addr + "/ws",
		"shards=" + strconv.Itoa(shards) + " ",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the start's log:\n%s", want, log)
		}
	}
	if strings.Count(log, "publishing over HTTP") != 1 {
		t.Errorf("the admin listener isn't in the start's log once:\n%s", log)
	}
	if code, body := get(t, "http://"+addr+"/"); code != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("page: %d %.60q", code, body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := get(t, "http://"+addr+path); code != http.StatusOK {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	sender, peer, root := dial(t, addr, "/ws/room"), dial(t, addr, "/ws/room"), dial(t, addr, "/ws")
	if err := sender.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	for name, conn := range map[string]*websocket.Conn{"sender": sender, "peer": peer, "root": root} {
		kind, body, err := conn.Read(t.Context())
		if err != nil || kind != websocket.MessageText || string(body) != "hello" {
			t.Errorf("%s read %v %q, %v", name, kind, body, err)
		}
	}
}

// adminURL is where the admin listener is, by the start's log.
func adminURL(t *testing.T, lines []string) string {
	t.Helper()
	return strings.TrimSuffix(logged(t, lines, "publishing over HTTP\" url="), "publish/")
}

func publish(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// A program publishes over HTTP at the admin listener, within the gateway's
// bounds, and not where clients connect.
func TestPublishesOverHTTP(t *testing.T) {
	t.Setenv("WARREN_WEBSOCKET_MAX_MESSAGE_SIZE", "5")
	lines, addr := serveInProcess(t, "--listen=127.0.0.1:0", "--node=n1")
	conn, admin := dial(t, addr, "/ws/room"), adminURL(t, lines)
	url := admin + "publish/"
	status, answer := publish(t, url+"room", "hello")
	if status != http.StatusOK || !strings.HasPrefix(answer, `{"mid":"n1.`) {
		t.Errorf("published: %d %s", status, answer)
	}
	if _, body, err := conn.Read(t.Context()); err != nil || string(body) != "hello" {
		t.Errorf("client read %q, %v", body, err)
	}
	if status, answer = publish(t, url+"room", "hello!"); status != http.StatusRequestEntityTooLarge {
		t.Errorf("over websocket.max_message_size: %d %s", status, answer)
	}
	if status, answer = publish(t, "http://"+addr+"/publish/room", "hello"); status != http.StatusNotFound {
		t.Errorf("published where clients connect: %d %s", status, answer)
	}
	if code, body := get(t, admin+"readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d %s", code, body)
	}
}

func TestNoAdminListener(t *testing.T) {
	lines, _ := serveInProcess(t, "--listen=127.0.0.1:0", "--admin-listen=")
	if log := strings.Join(lines, "\n"); strings.Contains(log, "publishing over HTTP") {
		t.Errorf("the start's log:\n%s", log)
	}
}

// With a broker that isn't there the node serves, and isn't ready.
func TestServesWithoutItsBroker(t *testing.T) {
	for delivery, logged := range map[string]string{
		"queue":  "delivery=queue",
		"stream": "delivery=stream stream=warren.stream",
	} {
		t.Run(delivery, func(t *testing.T) {
			t.Setenv("WARREN_AMQP_DELIVERY", delivery)
			servesWithoutItsBroker(t, logged)
		})
	}
}

func servesWithoutItsBroker(t *testing.T, logged string) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("amqp://u:s3cret@%s/v", nobody.Addr())
	nobody.Close()

	lines, addr := serveInProcess(t, "--listen=127.0.0.1:0", "--amqp-url="+url)
	log := strings.Join(lines, "\n")
	if strings.Contains(log, "s3cret") || !strings.Contains(log, "amqp://u:xxxxx@"+nobody.Addr().String()+"/v") ||
		!strings.Contains(log, logged+"\n") {
		t.Errorf("the start's log:\n%s", log)
	}
	if code, body := get(t, "http://"+addr+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d %q", code, body)
	}
	code, body := get(t, "http://"+addr+"/readyz")
	if code != http.StatusServiceUnavailable || strings.Contains(body, "s3cret") || !strings.Contains(body, "reason") {
		t.Errorf("/readyz: %d %q", code, body)
	}
}

// The soft limit of descriptors is raised to the hard one.
func TestRaisesDescriptorLimit(t *testing.T) {
	_, lines, _ := process(t, "sh", "-c", `ulimit -Sn 100 && ulimit -Hn 1000 && exec "$0" --listen=127.0.0.1:0`, binary)
	log := strings.Join(lines, "\n")
	// Go leaves one, to notice later changes by others.
	if !strings.Contains(log, " descriptors=999") && !strings.Contains(log, " descriptors=1000") {
		t.Errorf("limit not raised to 1000:\n%s", log)
	}
}
