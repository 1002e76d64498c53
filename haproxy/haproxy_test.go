package haproxy_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"warren/haproxy"
	"warren/haproxy/haproxytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// HAProxy takes the file without a word, as it is and with every variable set.
func TestConfigIsValid(t *testing.T) {
	for name, env := range map[string][]string{
		"defaults":    nil,
		"environment": {haproxy.EnvBind + "=127.0.0.1:8081", haproxy.EnvNode1 + "=10.0.0.1:3000", haproxy.EnvNode2 + "=10.0.0.2:3000"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("haproxy", "-c", "-dW", "-dD", "-f", "haproxy.cfg")
			cmd.Env = append(os.Environ(), env...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("haproxy -c: %v\n%s", err, out)
			}
			if said := strings.TrimSpace(string(out)); said != "Configuration file is valid" && said != "" {
				t.Errorf("haproxy -c says:\n%s", said)
			}
		})
	}
}

func TestUpgradeTunnels(t *testing.T) {
	p, nodes := start(t)
	c := open(t, p, http.DefaultClient)
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
	// A tunnel is logged when it begins.
	eventually(t, "a log line", func() bool { return strings.Contains(p.Output(), " 101 ") })
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("closing the tunnel: %v", err)
	}
}

func TestLeastConnections(t *testing.T) {
	p, nodes := start(t)
	at := map[string][]tunnel{}
	for range 10 {
		c := open(t, p, http.DefaultClient)
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
		if name := open(t, p, http.DefaultClient).node(); name != "one" {
			t.Errorf("with 2 and 5 clients a new one goes to %s", name)
		}
	}
	if n := nodes[0].upgrades.Load(); n != 8 {
		t.Errorf("node one saw %d upgrades, want 8", n)
	}
}

// A node that is not ready gets no new clients and keeps those it has.
func TestDrainingNode(t *testing.T) {
	p, nodes := start(t)
	before := map[string]tunnel{}
	for len(before) < 2 {
		c := open(t, p, http.DefaultClient)
		before[c.node()] = c
	}
	nodes[0].ready.Store(false)
	if err := p.Await(within(t), 1, false); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if name := open(t, p, http.DefaultClient).node(); name != "two" {
			t.Errorf("a new client went to the draining node %s", name)
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
	if name := open(t, p, http.DefaultClient).node(); name != "one" {
		t.Errorf("a new client went to %s, want the node that is back", name)
	}
}

// Between a node's death and the check that finds it, clients notice nothing.
func TestDeadNode(t *testing.T) {
	p, nodes := start(t)
	nodes[0].server.Close()
	for range 6 {
		if name := open(t, p, http.DefaultClient).node(); name != "two" {
			t.Errorf("a client went to the dead node %s", name)
		}
	}
}

// Clients keep their connection; nodes get a new one for each request.
func TestKeptConnection(t *testing.T) {
	p, nodes := start(t)
	keeper := client(t, p)
	for range 4 {
		get(t, keeper, "http://"+p.Addr()+"/ws", http.StatusOK)
	}
	open(t, p, keeper).node()
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
}

func TestForwardedFor(t *testing.T) {
	p, nodes := start(t)
	keeper := client(t, p)
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+p.Addr()+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("X-Forwarded-Proto", "https")
	response, err := keeper.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	seen := append(nodes[0].seen(), nodes[1].seen()...)
	if len(seen) != 1 {
		t.Fatalf("%d requests arrived", len(seen))
	}
	if got := strings.Join(seen[0].Header.Values("X-Forwarded-For"), ","); got != "127.0.0.1" {
		t.Errorf("X-Forwarded-For is %q, want the real client and not what it says", got)
	}
	if got := strings.Join(seen[0].Header.Values("X-Forwarded-Proto"), ","); got != "http" {
		t.Errorf("X-Forwarded-Proto is %q, want http", got)
	}
}

// The page is the site; the nodes' other paths stay inside.
func TestSite(t *testing.T) {
	p, nodes := start(t)
	keeper := client(t, p)
	base := "http://" + p.Addr()
	if body := get(t, keeper, base+"/", http.StatusOK); !strings.HasSuffix(body, "answers /") {
		t.Errorf("/ is %q", body)
	}
	if body := get(t, keeper, base+"/ws", http.StatusOK); !strings.HasSuffix(body, "answers /ws") {
		t.Errorf("/ws is %q", body)
	}
	for _, path := range []string{"/readyz", "/healthz", "/metrics", "/debug/pprof/", "/publish/x", "/status", "/%77s"} {
		get(t, keeper, base+path, http.StatusNotFound)
	}
	for _, n := range nodes {
		for _, r := range n.seen() {
			if r.URL.Path != "/" && r.URL.Path != "/ws" {
				t.Errorf("%s reached node %s", r.URL, n.name)
			}
		}
	}
}

// Stopped, HAProxy is gone, and so is its folder.
func TestStop(t *testing.T) {
	n := newNode(t, "one")
	t.Setenv("TMPDIR", t.TempDir())
	p, err := haproxytest.Start(within(t), haproxytest.Options{Nodes: [2]string{n.addr(), "127.0.0.1:9"}})
	if err != nil {
		t.Fatal(err)
	}
	open(t, p, http.DefaultClient).node() // a tunnel doesn't keep it
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

func get(t *testing.T, c *http.Client, url string, status int) string {
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
	return string(body)
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
