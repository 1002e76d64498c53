//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"warren/haproxy"
	"warren/haproxy/haproxytest"
)

// shipped is HAProxy with a file of this project. The load speaks no TLS: where
// that is wanted another HAProxy speaks it in its place, whose CPU doesn't count.
type shipped struct {
	name string
	form haproxytest.Form
	tls  bool
	h2   bool // each client on a connection of its own, as browsers have them
}

// shippedFiles are beside the plain form, which is tutorial.cfg but for the log.
var shippedFiles = []front{
	shipped{name: "tutorial.cfg", form: haproxytest.Tutorial},
	shipped{name: "haproxy.cfg without TLS", form: haproxytest.Plain},
	shipped{name: "haproxy.cfg, HTTP/1.1", form: haproxytest.Production, tls: true},
	shipped{name: "haproxy.cfg, HTTP/2", form: haproxytest.Production, tls: true, h2: true},
	shipped{name: "tcp.cfg", form: haproxytest.TCP, tls: true},
}

const veilNote = "haproxy.cfg and tcp.cfg: TLS 1.3, a key of ECDSA P-256; a HAProxy in front encrypts for the clients, a connection and a whole handshake each; its CPU doesn't count"

func (s shipped) String() string { return s.name }

func (s shipped) start(ctx context.Context, b *bench, dir string, n behind) (t, node target, stop func() error, err error) {
	node = n.plain
	if s.tls {
		node = n.proxied
	}
	const any = "=100000000" // all clients have few addresses
	p, err := haproxytest.Start(ctx, haproxytest.Options{
		Form: s.form, Nodes: [2]string{node.addr.String(), node.addr.String()},
		Env: []string{haproxy.EnvConns + any, haproxy.EnvConnRate + any, haproxy.EnvTunnels + any},
	})
	if err != nil {
		return t, node, nil, err
	}
	addr, err := netip.ParseAddrPort(p.Addr())
	if err != nil {
		return t, node, nil, errors.Join(err, p.Stop())
	}
	pids := []int{p.Pid()}
	if !s.tls {
		return target{name: s.name, addr: addr, path: node.path, pids: pids}, node, p.Stop, nil
	}
	t, stopVeil, err := b.startHAProxy(ctx, dir, s.name, func(listen string) string { return s.veil(listen, p.Addr()) })
	if err != nil {
		return t, node, nil, errors.Join(err, p.Stop())
	}
	t.pids = pids
	return t, node, func() error { return errors.Join(stopVeil(), p.Stop()) }, nil
}

// veil is the configuration of the other HAProxy. Every connection of its own
// has a whole TLS handshake.
func (s shipped) veil(listen, to string) string {
	mode, server := "mode tcp", "alpn http/1.1"
	if s.h2 {
		mode, server = "mode http\n    http-reuse never", "alpn h2 ws h2"
	}
	return fmt.Sprintf(`defaults
    %s
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
listen veil
    bind %s
    server tls %s ssl verify none no-ssl-reuse %s
`, mode, listen, to, server)
}
