// Package haproxy has the configurations for running HAProxy in front of the
// nodes.
package haproxy

import _ "embed"

var (
	// Config is haproxy.cfg: TLS, HTTP/2, the PROXY protocol and the agent.
	//
	//go:embed haproxy.cfg
	Config []byte
	// Tutorial is tutorial.cfg: a port and two nodes.
	//
	//go:embed tutorial.cfg
	Tutorial []byte
	// TCP is tcp.cfg: TLS and the PROXY protocol, without a look at the requests.
	//
	//go:embed tcp.cfg
	TCP []byte
)

// What the files take from the environment; each says which, and has the
// defaults. Addresses are in HAProxy's notation. Not named WARREN_: a gateway
// refuses such variables if it doesn't know them.
const (
	EnvBind     = "HAPROXY_BIND"      // where clients connect
	EnvBindHTTP = "HAPROXY_BIND_HTTP" // where http is sent on to https
	EnvCert     = "HAPROXY_CERT"      // certificate and key, a PEM file or a folder of them
	EnvNode1    = "HAPROXY_NODE1"
	EnvNode2    = "HAPROXY_NODE2"
	EnvAgent1   = "HAPROXY_AGENT1" // port of the agent at node 1's address
	EnvAgent2   = "HAPROXY_AGENT2"
	EnvMaxConn  = "HAPROXY_MAXCONN"
	EnvConns    = "HAPROXY_CONNS"     // connections an address
	EnvConnRate = "HAPROXY_CONN_RATE" // new ones an address in 10 s
	EnvTunnels  = "HAPROXY_TUNNELS"   // WebSockets and event streams an address
	EnvHSTS     = "HAPROXY_HSTS"      // seconds
	EnvMetrics  = "HAPROXY_METRICS"
	EnvSocket   = "HAPROXY_SOCKET"   // path of the runtime API
	EnvLogASAP  = "HAPROXY_LOGASAP"  // defined: a tunnel is logged when it begins
	EnvRootless = "HAPROXY_ROOTLESS" // defined: stay the user that started it
)
