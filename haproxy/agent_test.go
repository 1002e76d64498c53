package haproxy_test

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"warren/haproxy/haproxytest"
)

// agent stands in for a node's.
type agent struct {
	listener net.Listener
	line     atomic.Value // string
	served   sync.WaitGroup
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{listener: l}
	a.says("ready up 100%")
	a.served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write([]byte(a.line.Load().(string) + "\n"))
			c.Close()
		}
	})
	t.Cleanup(a.stop)
	return a
}

func (a *agent) says(line string) { a.line.Store(line) }
func (a *agent) addr() string     { return a.listener.Addr().String() }

func (a *agent) stop() {
	a.listener.Close()
	a.served.Wait()
}

// What a node's agent says is what HAProxy does.
func TestAgent(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		one := newAgent(t)
		p, nodes := start(t, haproxytest.Options{Form: form, Agents: [2]string{one.addr()}})
		before := oneEach(t, p)
		until := func(line, what string, ok func(haproxytest.Server) bool) {
			t.Helper()
			one.says(line)
			if err := p.AwaitServer(within(t), 1, what, ok); err != nil {
				t.Fatal(err)
			}
		}
		otherOnly := func() {
			t.Helper()
			for range 3 {
				if name := open(t, p).node(); name != "two" {
					t.Errorf("a new client went to %s", name)
				}
			}
			if name := before["one"].node(); name != "one" {
				t.Errorf("the tunnel to one ends at %s", name)
			}
		}

		until("ready up 37%", "to weigh 37", func(s haproxytest.Server) bool { return s.Weight == 37 && s.InitialWeight == 100 })
		until("ready up 0%", "to weigh nothing", func(s haproxytest.Server) bool { return s.Weight == 0 })
		otherOnly()
		until("drain", "to drain", func(s haproxytest.Server) bool { return s.Draining() && s.Up() })
		otherOnly()

		// The check notices, too, some seconds later. It is down then, and
		// still nobody is cut.
		nodes[0].ready.Store(false)
		until("drain", "to be down", func(s haproxytest.Server) bool { return s.Draining() && !s.Up() })
		otherOnly()

		// Both must take it back. The server starts slowly then.
		until("ready up 100%", "to drain no more", func(s haproxytest.Server) bool { return !s.Draining() })
		if s, err := p.Servers(); err != nil || s[0].Up() {
			t.Errorf("the check still fails, and node1 is %+v, %v", s[0], err)
		}
		nodes[0].ready.Store(true)
		until("ready up 100%", "to be up", haproxytest.Server.Up)

		until("down #link lost", "to be down", func(s haproxytest.Server) bool { return !s.Up() })
		until("ready up 50%", "to be up", haproxytest.Server.Up)

		// Nobody answers at node two's, and that changes nothing.
		if s, err := p.Servers(); err != nil || !s[1].Up() || s[1].Draining() || s[1].Weight != 100 {
			t.Errorf("without an agent, node2 is %+v, %v", s[1], err)
		}
	})
}

// Why the weight is 100: a percentage of 1 is nothing.
func TestAgentWeight(t *testing.T) {
	t.Parallel()
	one, two := newAgent(t), newAgent(t)
	one.says("ready up 99%")
	p, _ := start(t, haproxytest.Options{
		Agents: [2]string{one.addr(), two.addr()},
		Edit:   func(s string) string { return strings.Replace(s, "weight 100", "weight 1", 1) },
	})
	if err := p.AwaitServer(within(t), 1, "to weigh nothing", func(s haproxytest.Server) bool { return s.Weight == 0 }); err != nil {
		t.Error(err)
	}
}
