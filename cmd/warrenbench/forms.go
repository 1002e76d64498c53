//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
)

// form is a way to configure HAProxy, as what differs from the plain one: lines
// of sections, and words at the end of the server's line.
type form struct {
	name     string
	tcp      bool // mode tcp instead of http
	proxy    bool // PROXY protocol towards the node
	global   []string
	defaults []string
	frontend []string
}

// plainForm is HAProxy as its WebSocket tutorial has it, with as many threads as
// there are CPUs, which is the default.
var plainForm = form{name: "plain"}

// forms are those that make a difference, for better or worse.
var forms = []front{
	form{name: "1 thread", global: []string{"nbthread 1"}},
	form{name: "mode tcp", tcp: true},
	form{name: "mode tcp, PROXY v2", tcp: true, proxy: true},
	form{name: "splice-response", defaults: []string{"option splice-response"}},
	form{name: "bufsize 8192", global: []string{"tune.bufsize 8192"}},
	form{name: "bufsize 32768", global: []string{"tune.bufsize 32768"}},
	form{name: "socket buffers 16 KiB", global: []string{"tune.rcvbuf.server 16384", "tune.sndbuf.client 16384"}},
	form{name: "headers, limits, log", global: []string{"log stdout format raw local0 info"}, defaults: []string{"log global", "option httplog", "option contstats"}, frontend: []string{
		"stick-table type ipv6 size 100k expire 1m store conn_cur,conn_rate(10s)",
		"tcp-request connection track-sc0 src,ipmask(32,64)",
		"tcp-request connection reject if { sc0_conn_rate gt 1000000 } || { sc0_conn_cur gt 1000000 }",
		"http-request del-header X-Forwarded-For",
		"http-request del-header Forwarded",
		"option forwardfor",
		"http-request set-header X-Forwarded-Proto http",
	}},
}

// tuned are those that make none: what one would try.
var tuned = []front{
	form{name: "bufsize 4096", global: []string{"tune.bufsize 4096"}},
	form{name: "splice-auto", defaults: []string{"option splice-auto"}},
	form{name: "http-no-delay", defaults: []string{"option http-no-delay"}},
	form{name: "contstats", defaults: []string{"option contstats"}},
	form{name: "maxpollevents 32", global: []string{"tune.maxpollevents 32"}},
	form{name: "maxpollevents 1000", global: []string{"tune.maxpollevents 1000"}},
	form{name: "sched.low-latency", global: []string{"tune.sched.low-latency on"}},
	form{name: "runqueue-depth 25", global: []string{"tune.runqueue-depth 25"}},
	form{name: "fd.edge-triggered", global: []string{"expose-experimental-directives", "tune.fd.edge-triggered on"}},
	form{name: "idletimer 0", global: []string{"tune.idletimer 0"}},
	form{name: "idletimer 65535", global: []string{"tune.idletimer 65535"}},
	form{name: "recv_enough 1", global: []string{"tune.recv_enough 1"}},
	form{name: "profiling.tasks off", global: []string{"profiling.tasks off"}},
	form{name: "smart connect, accept", defaults: []string{"option tcp-smart-connect", "option tcp-smart-accept"}},
}

func (m form) String() string { return m.name }

func (m form) start(ctx context.Context, b *bench, dir string, n behind) (t, node target, stop func() error, err error) {
	node = n.plain
	if m.proxy {
		node = n.proxied
	}
	t, stop, err = b.startHAProxy(ctx, dir, m.name, func(addr string) string { return m.config(addr, node.addr.String()) })
	return t, node, stop, err
}

// config is the whole file, from addr to the node at node.
func (m form) config(addr, node string) string {
	var s strings.Builder
	section := func(name string, lines ...[]string) {
		fmt.Fprintln(&s, name)
		for _, some := range lines {
			for _, l := range some {
				fmt.Fprintln(&s, "    "+l)
			}
		}
	}
	mode, front := []string{"mode http", "option http-server-close"}, []string{"option logasap"}
	if m.tcp {
		mode, front = []string{"mode tcp"}, nil
	}
	server := fmt.Sprintf("server node1 %s check", node)
	if m.proxy {
		server += " send-proxy-v2 check-send-proxy"
	}
	section("global", m.global)
	section("defaults", mode, []string{"timeout connect 5s", "timeout client 60s", "timeout server 60s", "timeout tunnel 1h"}, m.defaults)
	section("frontend www", front, m.frontend, []string{"bind " + addr, "default_backend websocket_servers"})
	section("backend websocket_servers", []string{"balance leastconn", "option httpchk GET /readyz", server})
	return s.String()
}
