package haproxytest

import (
	"fmt"
	"strings"

	"warren/haproxy"
)

// Form is a configuration to run.
type Form int

const (
	// Plain is haproxy.cfg without TLS and the PROXY protocol, for clients and
	// nodes that have neither: docs/haproxy.md says how to make it.
	Plain Form = iota
	// Production is haproxy.cfg. Its nodes need proxy.protocol: true.
	Production
	// Tutorial is tutorial.cfg: no TLS, no PROXY protocol, no agent, and checks
	// that only connect.
	Tutorial
	// TCP is tcp.cfg. Its nodes need proxy.protocol: true.
	TCP
)

func (f Form) String() string {
	return [...]string{"haproxy.cfg in plain form", "haproxy.cfg", "tutorial.cfg", "tcp.cfg"}[f]
}

// secure says that clients speak TLS.
func (f Form) secure() bool { return f == Production || f == TCP }

// config is the file's content.
func (f Form) config() (string, error) {
	switch f {
	case Production:
		return string(haproxy.Config), nil
	case Tutorial:
		return string(haproxy.Tutorial), nil
	case TCP:
		return string(haproxy.TCP), nil
	}
	text := string(haproxy.Config)
	for _, edit := range []struct{ from, to string }{
		{` ssl crt "${HAPROXY_CERT-/etc/haproxy/certs/}" alpn h2,http/1.1`, ""},
		{"set-header X-Forwarded-Proto https", "set-header X-Forwarded-Proto http"},
		{"    http-after-response set-header Strict-Transport-Security \"max-age=${HAPROXY_HSTS-86400}\"\n", ""},
		{"    default-server send-proxy-v2 check-send-proxy\n", ""},
		{"    default-server send-proxy-v2\n", ""},
	} {
		if n := strings.Count(text, edit.from); n != 1 {
			return "", fmt.Errorf("haproxy.cfg has %q %d times: the plain form is made by changing it once", edit.from, n)
		}
		text = strings.Replace(text, edit.from, edit.to, 1)
	}
	return text, nil
}
