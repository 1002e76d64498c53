package agent_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"warren/gateway"
	"warren/gateway/agent"
)

// named is a node that says its name.
func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Node", name) }
}

// A real HAProxy follows the node.
func TestHAProxyFollows(t *testing.T) {
	const capacity = 1000
	f := &fake{now: 250, capacity: capacity}
	s := listen(t, agent.Options{}, f)
	stop := serve(t, s)
	release := make(chan struct{})
	node := http.NewServeMux()
	node.Handle("/", named("node"))
	node.HandleFunc("/stay", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Node", "node")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "to the end")
	})
	p := startProxy(t, s.Addr(), node, named("other"))
	staying := sync.OnceFunc(func() { close(release) })
	t.Cleanup(staying) // before its server is closed

	p.await("node", server{"2", "0", "75"})
	p.await("light", server{"2", "0", "0"}) // 75% of 1: why the weight must be 100
	p.await("talks", server{"2", "0", "75"})

	stays := p.get("/stay")
	for stays.Header.Get("Node") != "node" {
		stays = p.get("/stay")
	}

	f.become(nil, capacity-1, capacity)
	p.await("node", server{"2", "0", "1"})
	f.become(nil, capacity, capacity)
	p.await("node", server{"2", "0", "0"})
	p.shuns("full")
	f.become(nil, 0, capacity)
	p.await("node", server{"2", "0", "100"})
	p.await("light", server{"2", "0", "1"})

	f.become(errors.New(`connecting to "b", for example, #2: 50% up`), 0, capacity)
	p.await("node", server{"0", "0", "100"})
	p.awaitStat("node", "last_agt", "via agent : down (connecting to 'b', for example, #2: 50% up)")
	p.shuns("down")
	f.become(nil, 0, capacity)
	p.await("node", server{"2", "0", "100"})

	f.become(gateway.ErrDraining, 500, capacity)
	p.await("node", server{"2", "8", "100"})
	p.await("talks", server{"2", "8", "100"})
	p.shuns("draining")

	// Without the agent everything stays as it is; the next process ends it.
	stop()
	p.awaitStat("node", "agent_status", "L4CON")
	if got := p.state("node"); got != (server{"2", "8", "100"}) {
		t.Errorf("with the agent gone the node is %+v", got)
	}
	again := agent.New(agent.Options{}, &fake{now: 600, capacity: capacity})
	if err := again.Listen(s.Addr().String()); err != nil {
		t.Fatal(err)
	}
	serve(t, again)
	p.await("node", server{"2", "0", "40"})

	// Clients that were there before all that are still there.
	staying()
	if rest, err := io.ReadAll(stays.Body); err != nil || string(rest) != "to the end" {
		t.Errorf("who was there before read %q, %v", rest, err)
	}
}

// script is an agent that says what the test says.
type script struct {
	line atomic.Value // string
}

func (s *script) serve(t *testing.T) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, s.line.Load().(string))
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Addr()
}

// How HAProxy reads the lines that answers are made of: what their form relies on.
func TestHAProxyReads(t *testing.T) {
	s := &script{}
	s.line.Store("ready up 80%\n")
	p := startProxy(t, s.serve(t), named("node"), named("other"))
	for _, step := range []struct {
		line   string
		want   server
		report string // in last_agt, of lines that change nothing
	}{
		{"ready up 80%\n", server{"2", "0", "80"}, ""},
		{"70%,UP\tready\n", server{"2", "0", "70"}, ""}, // in any order
		{"drain\n", server{"2", "8", "70"}, ""},
		{"up 60%\n", server{"2", "8", "60"}, ""}, // without ready it drains on
		{"ready up 50%\n", server{"2", "0", "50"}, ""},
		{"down #why\n", server{"0", "0", "50"}, ""},
		{"ready 40%\n", server{"0", "0", "40"}, ""}, // without up it stays down
		{"drain\n", server{"0", "8", "40"}, ""},
		{"ready up 30%\r\nnot read\n", server{"2", "0", "30"}, ""},
		{"down#why\n", server{"2", "0", "30"}, "reports an error : down#why"}, // no blank: no word
		{"drain", server{"2", "0", "30"}, "incomplete line"},                  // no end
		{"ready up 20%\n", server{"2", "0", "20"}, ""},
		{"down #" + strings.Repeat("x", 100) + "\n", server{"0", "0", "20"}, ""},
		{"ready up 10%\n", server{"2", "0", "10"}, ""},
	} {
		s.line.Store(step.line)
		if step.report != "" {
			p.awaitStat("node", "last_agt", step.report)
		}
		p.await("node", step.want)
		if long := strings.TrimPrefix(step.line, "down #"); len(long) > 100 {
			p.awaitStat("node", "last_agt", "via agent : down ("+strings.TrimSpace(long)+")") // whole
		}
	}

	// What is set by hand lasts until the agent is asked again, unless it isn't.
	p.command("set server nodes/node state maint")
	p.await("node", server{"2", "0", "10"})
	p.command("disable agent nodes/node")
	p.command("set server nodes/node state drain")
	for _, line := range []string{"ready up 9%\n", "ready up 8%\n"} { // whom else it asks meanwhile
		s.line.Store(line)
		p.await("talks", server{"2", "0", line[9:10]})
	}
	if got := p.state("node"); got != (server{"2", "8", "10"}) {
		t.Errorf("set by hand, with its agent disabled: %+v", got)
	}
}
