package agent_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"warren/internal/child"
)

// A backend that clients reach, and one in which other weights and agent-send are
// tried on the same agent.
const config = `
global
    stats socket %[1]s mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 2s
    option httpchk GET /readyz
    balance leastconn
    default-server weight 100 check inter 200ms fall 3 rise 2 agent-check agent-inter 100ms agent-port %[2]s
frontend www
    bind fd@3
    default_backend nodes
backend nodes
    server node %[3]s
    server other %[4]s no-agent-check
backend tried
    server light %[3]s weight 1
    server talks %[3]s agent-send "who are you?\n"
`

// proxy is a running HAProxy.
type proxy struct {
	t      *testing.T
	url    string // of its frontend
	socket string // of its runtime API
}

// startProxy runs HAProxy, which asks the agent at addr.
func startProxy(t *testing.T, addr net.Addr, node, other http.Handler) *proxy {
	t.Helper()
	var servers []any
	for _, h := range []http.Handler{node, other} {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		servers = append(servers, s.Listener.Addr().String())
	}
	// Not t.TempDir's long names: a socket's path has at most some 100 bytes.
	dir, err := os.MkdirTemp("", "agent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &proxy{t: t, socket: filepath.Join(dir, "s")}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, append([]any{p.socket, port}, servers...)...), 0o600); err != nil {
		t.Fatal(err)
	}
	// HAProxy inherits it: nobody can take the port meanwhile.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p.url = "http://" + listener.Addr().String()
	inherited, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("haproxy", "-db", "-dW", "-f", file)
	cmd.ExtraFiles = []*os.File{inherited}
	cmd.Stdout, cmd.Stderr = out, out
	process, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Stop(syscall.SIGTERM, patience); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(out.Name())
			t.Logf("HAProxy printed:\n%s", text)
		}
	})
	p.until("HAProxy to start", func() string {
		if _, err := p.try("show version"); err != nil {
			return err.Error()
		}
		return ""
	})
	return p
}

// until waits until what returns no objection any more.
func (p *proxy) until(what string, objection func() string) {
	p.t.Helper()
	ctx := within(p.t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		last := objection()
		if last == "" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("waited for %s: %s", what, last)
		}
	}
}

func (p *proxy) try(command string) (string, error) {
	c, err := net.Dial("unix", p.socket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(c, command); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// command gives HAProxy a command of its runtime API.
func (p *proxy) command(command string) string {
	p.t.Helper()
	answer, err := p.try(command)
	if err != nil {
		p.t.Fatalf("%s: %v", command, err)
	}
	return answer
}

// server is what HAProxy holds of one (management guide, "show servers state").
type server struct {
	op     string // srv_op_state: 0 is down, 2 up
	admin  string // srv_admin_state: 0 is ready, 1 maint, 8 drain
	weight string // srv_uweight
}

// state reads "show servers state".
func (p *proxy) state(name string) server {
	p.t.Helper()
	answer := p.command("show servers state")
	var column map[string]int
	for _, line := range strings.Split(answer, "\n") {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "# "):
			column = map[string]int{}
			for i, name := range fields[1:] {
				column[name] = i
			}
		case len(fields) > 1 && fields[column["srv_name"]] == name:
			return server{fields[column["srv_op_state"]], fields[column["srv_admin_state"]], fields[column["srv_uweight"]]}
		}
	}
	p.t.Fatalf("no server %s in %q", name, answer)
	return server{}
}

// await waits until HAProxy holds a server to be so.
func (p *proxy) await(name string, want server) {
	p.t.Helper()
	p.until(fmt.Sprintf("%s to be %+v", name, want), func() string {
		if got := p.state(name); got != want {
			return fmt.Sprintf("is %+v", got)
		}
		return ""
	})
}

// awaitStat waits until a column of "show stat" has part in it.
func (p *proxy) awaitStat(name, column, part string) {
	p.t.Helper()
	p.until(fmt.Sprintf("%s of %s to be %q", column, name, part), func() string {
		rows, err := csv.NewReader(strings.NewReader(p.command("show stat"))).ReadAll()
		if err != nil {
			p.t.Fatal(err)
		}
		for _, row := range rows {
			if row[1] != name {
				continue
			}
			for i, title := range rows[0] {
				if title == column && strings.Contains(row[i], part) {
					return ""
				}
			}
			return fmt.Sprint(row)
		}
		return "no such server"
	})
}

var client = http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// get sends a request through HAProxy.
func (p *proxy) get(path string) *http.Response {
	p.t.Helper()
	r, err := client.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { r.Body.Close() })
	return r
}

// shuns checks that no new client gets to the node.
func (p *proxy) shuns(why string) {
	p.t.Helper()
	for range 20 {
		if got := p.get("/").Header.Get("Node"); got != "other" {
			p.t.Errorf("%s: a client got to %q", why, got)
		}
	}
}
