package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// started reads a log in text format until the line that says where the node
// listens, and goes on reading it to its end. It returns all up to that line,
// and the address. stop, which must end the log, is called when the test ends.
func started(t *testing.T, log io.Reader, stop func()) (lines []string, addr string) {
	t.Helper()
	drained := make(chan struct{})
	t.Cleanup(func() {
		stop()
		<-drained
	})
	scanner := bufio.NewScanner(log)
	for addr == "" && scanner.Scan() {
		lines = append(lines, scanner.Text())
		if _, rest, ok := strings.Cut(scanner.Text(), "msg=listening address="); ok {
			addr, _, _ = strings.Cut(rest, " ")
		}
	}
	go func() {
		defer close(drained)
		for scanner.Scan() {
			t.Log(scanner.Text())
		}
	}()
	if addr == "" {
		t.Fatalf("the log ended before the node listened: %q", lines)
	}
	return lines, addr
}

// serveInProcess runs a node as main does, without the process. It ends, and
// must end well, when the test does.
func serveInProcess(t *testing.T, args ...string) (lines []string, addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	args = append([]string{"--admin-listen=127.0.0.1:0"}, args...)
	go func() {
		err := run(ctx, args, io.Discard, w)
		w.Close()
		done <- err
	}()
	return started(t, r, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func dial(t *testing.T, addr, path string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

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

// adminURL is that of publishing, by the start's log.
func adminURL(t *testing.T, lines []string) string {
	t.Helper()
	for _, line := range lines {
		if _, url, ok := strings.Cut(line, "publishing over HTTP\" url="); ok {
			return url
		}
	}
	t.Fatalf("no admin listener in the start's log: %q", lines)
	return ""
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
	conn, url := dial(t, addr, "/ws/room"), adminURL(t, lines)
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
	if code, body := get(t, strings.TrimSuffix(url, "publish/")+"readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d %s", code, body)
	}
}

func TestNoAdminListener(t *testing.T) {
	lines, _ := serveInProcess(t, "--listen=127.0.0.1:0", "--admin-listen=")
	if log := strings.Join(lines, "\n"); strings.Contains(log, "publishing over HTTP") {
		t.Errorf("the start's log:\n%s", log)
	}
}

// While the node waits for its clients to leave, the admin listener says that
// it stops.
func TestAdminWhileStopping(t *testing.T) {
	t.Setenv("WARREN_CLIENTS_CLOSE_TIMEOUT", "1h")
	cmd, lines, addr := process(t, binary, "--listen=127.0.0.1:0")
	url := adminURL(t, lines)
	staysOn(t, addr, func() error { return cmd.Process.Signal(syscall.SIGTERM) })
	if status, answer := publish(t, url+"room", "x"); status != http.StatusServiceUnavailable || !strings.Contains(answer, "stopping") {
		t.Errorf("published: %d %s", status, answer)
	}
	ready := strings.TrimSuffix(url, "publish/") + "readyz"
	if code, body := get(t, ready); code != http.StatusServiceUnavailable || !strings.Contains(body, "stopping") {
		t.Errorf("/readyz: %d %s", code, body)
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

// process starts a command and waits until it listens. One that doesn't end
// when it should is killed.
func process(t *testing.T, name string, args ...string) (cmd *exec.Cmd, lines []string, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "WARREN_ADMIN_LISTEN=127.0.0.1:0")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir, cmd.Stderr = t.TempDir(), w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { r.Close() })
	lines, addr = started(t, r, func() {
		cmd.Process.Kill() // unless the test has ended it
		cmd.Wait()
	})
	return cmd, lines, addr
}

// A signal closes the clients with 1001 and ends the process with 0.
func TestSignalStops(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd, _, addr := process(t, binary, "--listen=127.0.0.1:0")
			conn := dial(t, addr, "/ws")
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("client read %v, want close 1001", err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// staysOn connects a client that ignores the close frame which stop brings it.
func staysOn(t *testing.T, addr string, stop func() error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// The close frame says that the stop is on its way. It isn't answered.
	if opcode, err := reader.ReadByte(); err != nil || opcode != 0x88 {
		t.Fatalf("read %#x, %v; want a close frame", opcode, err)
	}
}

// While a stop waits for a client, a second signal ends the process at once.
func TestSecondSignalKills(t *testing.T) {
	t.Setenv("WARREN_CLIENTS_CLOSE_TIMEOUT", "1h")
	cmd, _, addr := process(t, binary, "--listen=127.0.0.1:0")
	staysOn(t, addr, func() error { return cmd.Process.Signal(syscall.SIGTERM) })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v, want by the signal", cmd.ProcessState)
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
