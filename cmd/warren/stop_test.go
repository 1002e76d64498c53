package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// forever is for what must not be waited for.
const forever = time.Hour

// SIGTERM tells the clients to come back, SIGINT that they needn't, without the
// drain. Both end the process with 0.
func TestSignalStops(t *testing.T) {
	tests := []struct {
		signal        syscall.Signal
		delay, period time.Duration
		code          websocket.StatusCode
		reason        string
	}{
		{syscall.SIGTERM, 0, 0, websocket.StatusServiceRestart, "the node restarts"},
		{syscall.SIGINT, forever, forever, websocket.StatusGoingAway, "the node stops"},
	}
	for _, tt := range tests {
		t.Run(tt.signal.String(), func(t *testing.T) {
			drains(t, tt.delay, tt.period, 3*forever)
			cmd, _, addr := process(t, binary, "--listen=127.0.0.1:0")
			conn := dial(t, addr, "/ws")
			send(t, cmd, tt.signal)
			closedWith(t, conn, tt.code, tt.reason)
			endsWell(t, cmd)
		})
	}
}

// During drain.delay the node says that it isn't ready, and still takes
// clients: the load balancer has not noticed yet.
func TestDrainDelay(t *testing.T) {
	drains(t, forever, 0, 2*forever)
	t.Setenv("WARREN_HAPROXY_AGENT_LISTEN", "127.0.0.1:0")
	cmd, lines, addr := process(t, binary, "--listen=127.0.0.1:0")
	admin, agent := adminURL(t, lines), logged(t, lines, "agent check\" address=")
	conn := dial(t, addr, "/ws/room")
	if code, body := get(t, admin+"readyz"); code != http.StatusOK {
		t.Errorf("/readyz of a node that serves: %d %s", code, body)
	}
	if line := ask(t, agent); !strings.HasPrefix(line, "ready up ") {
		t.Errorf("the agent of a node that serves says %q", line)
	}
	send(t, cmd, syscall.SIGTERM)
	eventually(t, "the agent says drain", func() bool { return ask(t, agent) == "drain\n" })
	for _, url := range []string{admin + "readyz", "http://" + addr + "/readyz"} {
		if code, body := get(t, url); code != http.StatusServiceUnavailable || !strings.Contains(body, "the node is draining") {
			t.Errorf("%s: %d %s", url, code, body)
		}
	}
	if code, body := get(t, admin+"healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d %s", code, body)
	}
	echoes(t, conn)
	echoes(t, dial(t, addr, "/ws/late"))

	send(t, cmd, syscall.SIGINT)
	endsBy(t, cmd, syscall.SIGINT)
}

// Over drain.period clients are closed one after the other, and the process
// ends once the last is.
func TestDrainPeriod(t *testing.T) {
	const clients, period = 20, 2 * time.Second
	drains(t, 0, period, time.Minute)
	cmd, _, addr := process(t, binary, "--listen=127.0.0.1:0")
	var conns []*websocket.Conn
	for range clients {
		conns = append(conns, dial(t, addr, "/ws"))
	}
	var mu sync.Mutex
	var first, last time.Time
	var all sync.WaitGroup
	for _, conn := range conns {
		all.Go(func() {
			closedWith(t, conn, websocket.StatusServiceRestart, "the node drains: come back now")
			mu.Lock()
			defer mu.Unlock()
			if last = time.Now(); first.IsZero() {
				first = last
			}
		})
	}
	send(t, cmd, syscall.SIGTERM)
	all.Wait()
	endsWell(t, cmd)
	// How evenly is the engine's matter.
	if took := last.Sub(first); took < period/20 { // together, but for the readers being slow
		t.Errorf("closed within %v, want some %v", took, period)
	}
}

// Neither a client that doesn't answer nor a message that no broker takes
// holds a node beyond drain.timeout.
func TestDrainTimeout(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	drains(t, 0, 0, time.Second)
	t.Setenv("WARREN_CLIENTS_CLOSE_TIMEOUT", forever.String())
	cmd, _, addr := process(t, binary, "--listen=127.0.0.1:0", "--amqp-url=amqp://"+nobody.Addr().String())
	client := freeze(t, addr, "/ws")
	// "hi", masked with zeros (RFC 6455, 5.3).
	if _, err := client.Write([]byte("\x81\x82\x00\x00\x00\x00hi")); err != nil {
		t.Fatal(err)
	}
	send(t, cmd, syscall.SIGTERM)
	client.toldToClose(t)
	endsWell(t, cmd) // else it is killed
}

// While a stop waits for a client, the admin listener and the agent say so.
func TestAnswersWhileStopping(t *testing.T) {
	drains(t, 0, 0, 2*forever)
	t.Setenv("WARREN_CLIENTS_CLOSE_TIMEOUT", forever.String())
	t.Setenv("WARREN_HAPROXY_AGENT_LISTEN", "127.0.0.1:0")
	cmd, lines, addr := process(t, binary, "--listen=127.0.0.1:0")
	admin := adminURL(t, lines)
	client := freeze(t, addr, "/ws")
	send(t, cmd, syscall.SIGTERM)
	client.toldToClose(t)
	eventually(t, "/readyz says that the node stops", func() bool {
		code, body := get(t, admin+"readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "stopping")
	})
	if status, answer := publish(t, admin+"publish/room", "x"); status != http.StatusServiceUnavailable || !strings.Contains(answer, "stopping") {
		t.Errorf("published: %d %s", status, answer)
	}
	if line := ask(t, logged(t, lines, "agent check\" address=")); line != "drain\n" {
		t.Errorf("the agent says %q", line)
	}
	client.Close()
	endsWell(t, cmd)
}

// While a stop waits for a client, a second signal of either kind ends the
// process at once, as it does where nobody handles it.
func TestSecondSignalKills(t *testing.T) {
	drains(t, 0, 0, 2*forever)
	t.Setenv("WARREN_CLIENTS_CLOSE_TIMEOUT", forever.String())
	for _, first := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprint(first, " and ", second), func(t *testing.T) {
				cmd, _, addr := process(t, binary, "--listen=127.0.0.1:0")
				client := freeze(t, addr, "/ws")
				send(t, cmd, first)
				client.toldToClose(t)
				send(t, cmd, second)
				endsBy(t, cmd, second)
			})
		}
	}
}
