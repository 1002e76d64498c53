package haproxy_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"warren/haproxy/haproxytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUpgradeTunnels(t *testing.T) {
	each(t, forms, func(t *testing.T, form haproxytest.Form) {
		p, nodes := start(t, haproxytest.Options{Form: form})
		c := open(t, p)
		name := c.node()
		for range 3 {
			if again := c.node(); again != name {
				t.Errorf("the tunnel moved from %s to %s", name, again)
			}
		}
		requests := append(nodes[0].seen(), nodes[1].seen()...)
		if len(requests) != 1 || requests[0].Host != p.Addr() || requests[0].URL.Path != "/ws/room" {
			t.Fatalf("the nodes saw %v, want one request for /ws/room with the client's Host", requests)
		}
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("closing the tunnel: %v", err)
		}
	})
}

func TestLeastConnections(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.Tutorial}, func(t *testing.T, form haproxytest.Form) {
		p, nodes := start(t, haproxytest.Options{Form: form})
		at := map[string][]tunnel{}
		for range 10 {
			c := open(t, p)
			name := c.node()
			at[name] = append(at[name], c)
		}
		if len(at["one"]) != 5 || len(at["two"]) != 5 {
			t.Fatalf("10 clients went %d to one, %d to two; want 5 each", len(at["one"]), len(at["two"]))
		}
		for _, c := range at["one"][:3] {
			c.CloseNow()
		}
		eventually(t, "HAProxy to count 2 and 5", func() bool {
			state, err := p.Nodes()
			return err == nil && state[0].Sessions == 2 && state[1].Sessions == 5
		})
		for range 3 {
			if name := open(t, p).node(); name != "one" {
				t.Errorf("with 2 and 5 clients a new one goes to %s", name)
			}
		}
		if n := nodes[0].upgrades.Load(); n != 8 {
			t.Errorf("node one saw %d upgrades, want 8", n)
		}
	})
}

// A node that is not ready gets no new clients and keeps those it has.
func TestUnreadyNode(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		p, nodes := start(t, haproxytest.Options{Form: form})
		before := oneEach(t, p)
		nodes[0].ready.Store(false)
		if err := p.Await(within(t), 1, false); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if name := open(t, p).node(); name != "two" {
				t.Errorf("a new client went to the unready node %s", name)
			}
		}
		if name := before["one"].node(); name != "one" {
			t.Errorf("the tunnel to one ends at %s", name)
		}
		nodes[0].ready.Store(true)
		if err := p.Await(within(t), 1, true); err != nil {
			t.Fatal(err)
		}
		nodes[1].ready.Store(false)
		if err := p.Await(within(t), 2, false); err != nil {
			t.Fatal(err)
		}
		if name := open(t, p).node(); name != "one" {
			t.Errorf("a new client went to %s, want the node that is back", name)
		}
	})
}

// oneEach opens tunnels until there is one to each node.
func oneEach(t *testing.T, p *haproxytest.Proxy) map[string]tunnel {
	t.Helper()
	found := map[string]tunnel{}
	for len(found) < 2 {
		c := open(t, p)
		found[c.node()] = c
	}
	return found
}

// Between a node's death and the check that finds it, clients notice nothing.
func TestDeadNode(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		p, nodes := start(t, haproxytest.Options{Form: form})
		nodes[0].server.Close()
		for range 6 {
			if name := open(t, p).node(); name != "two" {
				t.Errorf("a client went to the dead node %s", name)
			}
		}
	})
}

// Clients keep their connection; nodes get a new one for each request.
func TestKeptConnection(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.Tutorial}, func(t *testing.T, form haproxytest.Form) {
		p, nodes := start(t, haproxytest.Options{Form: form})
		client := keeper(t, p)
		for range 4 {
			get(t, client, p.Site("/ws"), http.StatusOK)
		}
		ws, _, err := websocket.Dial(within(t), p.URL("/ws/room"), &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Fatal(err)
		}
		tunnel{ws, t}.node()
		ws.CloseNow()
		requests := 0
		for _, n := range nodes {
			n.mu.Lock()
			for from, count := range n.sockets {
				if requests += count; count != 1 {
					t.Errorf("node %s got %d requests over one connection, from %s", n.name, count, from)
				}
			}
			n.mu.Unlock()
		}
		if requests != 5 {
			t.Errorf("%d requests arrived, want 5", requests)
		}
	})
}

// Stopped, HAProxy is gone, and so is its folder.
func TestStop(t *testing.T) {
	n := newNode(t, "one", haproxytest.Plain)
	t.Setenv("TMPDIR", t.TempDir())
	p, err := haproxytest.Start(within(t), haproxytest.Options{Nodes: [2]string{n.addr(), "127.0.0.1:9"}})
	if err != nil {
		t.Fatal(err)
	}
	open(t, p).node() // a tunnel doesn't keep it
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func get(t *testing.T, c *http.Client, url string, status int) (body string) {
	t.Helper()
	_, body = fetch(t, c, url, status)
	return body
}

func fetch(t *testing.T, c *http.Client, url string, status int) (http.Header, string) {
	t.Helper()
	response, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Errorf("GET %s: %s, %v; want %d", url, response.Status, err, status)
	}
	return response.Header, strings.TrimSpace(string(body))
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := within(t)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}
