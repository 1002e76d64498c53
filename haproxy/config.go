// Package haproxy has the configuration for running HAProxy in front of the
// nodes.
package haproxy

import _ "embed"

// Config is haproxy.cfg. The environment variables below change it.
//
//go:embed haproxy.cfg
var Config []byte

// What Config takes from the environment: addresses in HAProxy's notation. Not
// named WARREN_: a gateway refuses such variables if it doesn't know them.
const (
	EnvBind  = "HAPROXY_BIND"  // where clients connect; :8080
	EnvNode1 = "HAPROXY_NODE1" // 127.0.0.1:3000
	EnvNode2 = "HAPROXY_NODE2" // 127.0.0.1:3002
)
