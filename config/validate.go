package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule is what one key's value must be, alone or in relation to another key.
type rule struct {
	key   string
	ok    func(c *Config) bool
	want  string
	other string // the key whose value want speaks of
}

// day bounds durations that would only be that long by mistake, year those
// for which messages are kept.
const (
	day  = 24 * time.Hour
	year = 365 * day
)

// holdExtra is what a held client may have read beyond one message.
const holdExtra = 4 * KiB

var (
	hostName    = regexp.MustCompile(`^[A-Za-z0-9._-]+(:[0-9]{1,5})?$`)
	nodeName    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	channelPath = regexp.MustCompile(`^(/[A-Za-z0-9._:~-]+)+$`)
	// taken are the paths that answer something else on the same port.
	taken = []string{"/healthz", "/readyz", "/warren.js", "/sse"}
)

// rules are looked at in order; the first that fails is reported.
var rules = []rule{
	{"listen", func(c *Config) bool { return isListen(c.Listen) },
		`host:port or :port, with a port of 0 to 65535, such as ":3000"`, ""},
	{"admin.listen", func(c *Config) bool { return c.Admin.Listen == "" || isListen(c.Admin.Listen) },
		`empty, or host:port with a port of 0 to 65535, such as "127.0.0.1:3001"`, ""},
	{"admin.listen", func(c *Config) bool { return c.Admin.Listen != c.Listen || hasPort(c.Listen, "0") },
		"another address than", "listen"},
	{"node", func(c *Config) bool { return c.Node == "" || nodeName.MatchString(c.Node) },
		"empty, or 1 to 64 of A-Z a-z 0-9 . _ -", ""},
	{"log.level", func(c *Config) bool { return slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) },
		"debug, info, warn or error", ""},
	{"log.format", func(c *Config) bool { return c.Log.Format == "text" || c.Log.Format == "json" },
		"text or json", ""},

	{"websocket.path", func(c *Config) bool { return isSocketPath(c.WebSocket.Path) },
		"a path such as /ws: segments of A-Z a-z 0-9 . _ : - ~, no / at its end, and none of " + strings.Join(taken, " "), ""},
	{"websocket.max_message_size", func(c *Config) bool { return within(c.WebSocket.MaxMessageSize, B, GiB) },
		"1B to 1GiB", ""},
	{"clients.max_lag", func(c *Config) bool { return within(c.Clients.MaxLag, 4*KiB, GiB) },
		"4KiB to 1GiB", ""},
	{"websocket.max_deliver_size", func(c *Config) bool { return within(c.WebSocket.MaxDeliverSize, 0, c.Clients.MaxLag/4) },
		"at most a quarter of", "clients.max_lag"},
	// A message that is taken from one client and can be given to none.
	{"websocket.max_message_size",
		func(c *Config) bool { return !c.WebSocket.Publish || c.WebSocket.MaxMessageSize <= c.DeliverSize() },
		"at most websocket.max_deliver_size, which is by default a quarter of", "clients.max_lag"},
	{"websocket.handshake_timeout", func(c *Config) bool { return isWait(c.WebSocket.HandshakeTimeout) }, wantWait, ""},
	{"websocket.ping_interval", func(c *Config) bool { return isWait(c.WebSocket.PingInterval) }, wantWait, ""},
	{"websocket.pong_timeout", func(c *Config) bool { return isWait(c.WebSocket.PongTimeout) }, wantWait, ""},
	{"websocket.origins", func(c *Config) bool { return !slices.ContainsFunc(c.WebSocket.Origins, badOrigin) },
		`"*", or origins as browsers send them: scheme://host[:port] in lower case, no path, no default port`, ""},

	{"clients.max", func(c *Config) bool { return within(c.Clients.Max, 0, 1<<30) },
		"0 (as many as there are descriptors) or more", ""},
	{"clients.max_per_ip", func(c *Config) bool { return within(c.Clients.MaxPerIP, 0, 1<<30) },
		"0 (any number) or more", ""},
	{"clients.handshake_rate", func(c *Config) bool { return within(c.Clients.HandshakeRate, 0, 1<<20) },
		"0 (any) to 1048576 a second", ""},
	{"clients.slow", func(c *Config) bool { return c.Clients.Slow == "close" || c.Clients.Slow == "skip" },
		"close or skip", ""},
	{"clients.on_gap", func(c *Config) bool { return c.Clients.OnGap == "ignore" || c.Clients.OnGap == "close" },
		"ignore or close", ""},
	{"clients.close_timeout", func(c *Config) bool { return isWait(c.Clients.CloseTimeout) }, wantWait, ""},
	{"clients.max_channels", func(c *Config) bool { return within(c.Clients.MaxChannels, 1, 10000) }, "1 to 10000", ""},
	{"memory.logs", func(c *Config) bool { return c.Memory.Logs >= c.Clients.MaxLag },
		"at least", "clients.max_lag"},
	{"memory.inbound", func(c *Config) bool { return c.Memory.Inbound >= c.WebSocket.MaxMessageSize+holdExtra },
		"at least 4KiB more than", "websocket.max_message_size"},

	{"history.messages", func(c *Config) bool { return within(c.History.Messages, 0, 1<<20) },
		"0 (no history) to 1048576", ""},
	{"history.bytes", func(c *Config) bool { return c.History.Bytes >= B }, "at least 1B", ""},
	{"history.bytes", func(c *Config) bool { return c.History.Messages == 0 || c.History.Bytes <= c.Memory.Logs },
		"at most", "memory.logs"},
	{"history.age", func(c *Config) bool { return within(c.History.Age, time.Second, 7*day) },
		"1s to 168h", ""},

	{"proxy.trusted", func(c *Config) bool { return !slices.ContainsFunc(c.Proxy.Trusted, badPrefix) },
		"IP addresses or prefixes such as 10.0.0.0/8, whose bits beyond their length are 0", ""},

	{"haproxy.agent_listen", func(c *Config) bool { return c.HAProxy.AgentListen == "" || isListen(c.HAProxy.AgentListen) },
		`empty, or host:port with a port of 0 to 65535, such as "127.0.0.1:3004"`, ""},
	{"haproxy.agent_listen", func(c *Config) bool { return c.HAProxy.AgentListen != c.Listen || hasPort(c.Listen, "0") },
		"another address than", "listen"},
	{"haproxy.agent_listen", func(c *Config) bool {
		return c.HAProxy.AgentListen == "" || c.HAProxy.AgentListen != c.Admin.Listen || hasPort(c.Admin.Listen, "0")
	}, "another address than", "admin.listen"},
	{"haproxy.capacity", func(c *Config) bool { return within(c.HAProxy.Capacity, 0, 1<<30) },
		"0 (clients.max, or what the descriptors allow) or more", ""},

	{"drain.delay", func(c *Config) bool { return within(c.Drain.Delay, 0, time.Hour) }, "0s to 1h", ""},
	{"drain.period", func(c *Config) bool { return within(c.Drain.Period, 0, day) }, "0s to 24h", ""},
	{"drain.timeout", func(c *Config) bool { return within(c.Drain.Timeout, time.Second, 2*day) }, "1s to 48h", ""},
	// The last tenth is for what RabbitMQ is still to confirm.
	{"drain.timeout", func(c *Config) bool { return c.Drain.Timeout-c.Drain.Timeout/10 >= c.Drain.Delay+c.Drain.Period },
		"such that nine tenths of it are at least drain.delay and drain.period together; the latter is", "drain.period"},

	{"amqp.url", func(c *Config) bool { return c.AMQP.URL == "" || isBroker(c.AMQP.URL) },
		wantBroker + "; several go into amqp.urls", ""},
	{"amqp.urls", func(c *Config) bool { return !slices.ContainsFunc(c.AMQP.URLs, isNoBroker) }, wantBroker, ""},
	{"amqp.urls", func(c *Config) bool { return c.AMQP.URL == "" || len(c.AMQP.URLs) == 0 },
		"left out where amqp.url is set: give one or the other", ""},
	{"amqp.exchange", func(c *Config) bool { return within(len(c.AMQP.Exchange), 1, 255) },
		"1 to 255 bytes", ""}, // a short string (AMQP 0-9-1, 4.2.5.3)
	{"amqp.delivery", func(c *Config) bool { return c.AMQP.Delivery == "queue" || c.AMQP.Delivery == "stream" },
		"queue or stream", ""},
	{"amqp.delivery", func(c *Config) bool { return c.AMQP.Delivery == "queue" || len(c.Brokers()) > 0 },
		"queue, or amqp.url or amqp.urls be set too: the stream is kept by RabbitMQ", ""},
	{"amqp.stream.name", func(c *Config) bool {
		// Names in amq. are the broker's own (AMQP 0-9-1, queue.declare).
		return within(len(c.AMQP.Stream.Name), 1, 255) && !strings.HasPrefix(c.AMQP.Stream.Name, "amq.")
	}, "1 to 255 bytes that don't begin with amq.", ""},
	{"amqp.stream.max_bytes", func(c *Config) bool { return c.AMQP.Stream.MaxBytes >= 16*MiB },
		"at least 16MiB", ""},
	{"amqp.stream.max_age", func(c *Config) bool {
		// RabbitMQ's x-max-age takes no fractions.
		return within(c.AMQP.Stream.MaxAge, time.Minute, year) && c.AMQP.Stream.MaxAge%time.Second == 0
	}, "whole seconds, 1m to 8760h", ""},
	{"amqp.stream.replicas", func(c *Config) bool { return within(c.AMQP.Stream.Replicas, 0, 255) },
		"0 (RabbitMQ's choice) to 255", ""},
	{"amqp.duplicates.ids", func(c *Config) bool { return within(c.AMQP.Duplicates.IDs, 1, 1<<24) }, "1 to 16777216", ""},
	{"amqp.duplicates.age", func(c *Config) bool { return within(c.AMQP.Duplicates.Age, time.Second, day) },
		"1s to 24h", ""},
	{"amqp.prefetch", func(c *Config) bool { return within(c.AMQP.Prefetch, 1, 65535) }, "1 to 65535", ""},
	{"amqp.window.messages", func(c *Config) bool { return within(c.AMQP.Window.Messages, 1, 1<<20) }, "1 to 1048576", ""},
	{"amqp.window.bytes", func(c *Config) bool { return within(c.AMQP.Window.Bytes, B, GiB) }, "1B to 1GiB", ""},
	// A message over the window would wait for ever.
	{"amqp.window.bytes", func(c *Config) bool { return c.AMQP.Window.Bytes >= c.WebSocket.MaxMessageSize },
		"at least", "websocket.max_message_size"},
	{"amqp.queue_bytes", func(c *Config) bool { return c.AMQP.QueueBytes >= c.WebSocket.MaxMessageSize },
		"at least", "websocket.max_message_size"},
	{"amqp.confirm_timeout", func(c *Config) bool { return within(c.AMQP.ConfirmTimeout, time.Second, day) },
		"1s to 24h", ""},
	{"amqp.heartbeat", func(c *Config) bool {
		// The protocol counts it in seconds (AMQP 0-9-1, connection.tune).
		return within(c.AMQP.Heartbeat, time.Second, time.Hour) && c.AMQP.Heartbeat%time.Second == 0
	}, "whole seconds, 1s to 1h", ""},
	{"amqp.reconnect.min", func(c *Config) bool { return isWait(c.AMQP.Reconnect.Min) }, wantWait, ""},
	{"amqp.reconnect.max", func(c *Config) bool { return within(c.AMQP.Reconnect.Max, c.AMQP.Reconnect.Min, day) },
		"at most 24h, and at least", "amqp.reconnect.min"},

	{"amqp.tls.key", func(c *Config) bool { return c.AMQP.TLS.Key == "" || c.AMQP.TLS.Cert != "" },
		"left out, or amqp.tls.cert be set too", ""},
	{"amqp.tls.cert", func(c *Config) bool { return c.AMQP.TLS.Cert == "" || c.AMQP.TLS.Key != "" },
		"left out, or amqp.tls.key be set too", ""},
	{"amqp.tls.ca", func(c *Config) bool { return c.AMQP.TLS.CA == "" || usesTLS(c) }, wantTLS, ""},
	{"amqp.tls.cert", func(c *Config) bool { return c.AMQP.TLS.Cert == "" || usesTLS(c) }, wantTLS, ""},
	{"amqp.tls.server_name", func(c *Config) bool { return c.AMQP.TLS.ServerName == "" || usesTLS(c) }, wantTLS, ""},
	{"amqp.tls.ca", func(c *Config) bool { return isReadable(c.AMQP.TLS.CA) }, wantFile, ""},
	{"amqp.tls.cert", func(c *Config) bool { return isReadable(c.AMQP.TLS.Cert) }, wantFile, ""},
	{"amqp.tls.key", func(c *Config) bool { return isReadable(c.AMQP.TLS.Key) }, wantFile, ""},
}

const (
	wantWait   = "1ms to 24h"
	wantBroker = "amqp://user:password@host:port/vhost or amqps://, with special characters percent-encoded"
	wantFile   = "a PEM file that this process can read"
	wantTLS    = "left out, or the broker's URL begin with amqps://"
)

// check reports the first rule that the values break.
func (l *Loaded) check() error {
	for _, r := range rules {
		if r.ok(&l.Config) {
			continue
		}
		want := r.want
		if r.other != "" {
			want += fmt.Sprintf(" %s (%v)", r.other, l.field(r.other).Interface())
		}
		if l.sources[r.key].level == fromDefault && r.other != "" {
			// A default stopped fitting: point at what was set.
			l.sources[r.key] = l.sources[r.other]
		}
		return l.Reject(r.key, want)
	}
	return nil
}

func within[T int | Size | time.Duration](v, low, high T) bool { return low <= v && v <= high }

func isWait(d time.Duration) bool { return within(d, time.Millisecond, day) }

func isListen(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// hasPort says that addr, which isListen, has that port.
func hasPort(addr, port string) bool {
	_, p, _ := net.SplitHostPort(addr)
	return p == port
}

func isSocketPath(p string) bool {
	return channelPath.MatchString(p) && path.Clean(p) == p && !slices.Contains(taken, p)
}

// badOrigin refuses what no browser would ever send as an Origin
// (RFC 6454, 6.2), and so would never match.
func badOrigin(o string) bool {
	if o == "*" {
		return false
	}
	u, err := url.Parse(o)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || o != u.Scheme+"://"+strings.ToLower(u.Host) {
		return true
	}
	return u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443"
}

// badPrefix refuses what isn't an address or a prefix. Bits that a prefix would
// mask are a mistake, as in 10.1.2.3/8: which of the two was meant?
func badPrefix(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return strings.Contains(s, "%") // a zone means nothing on another machine
	}
	p, err := netip.ParsePrefix(s)
	return err != nil || p != p.Masked()
}

// isBroker is stricter than the parsers, which take
// "amqp://u:p@a,amqp://u:p@b" for one URL with a password in its path.
func isBroker(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "amqp" && u.Scheme != "amqps" || u.Opaque != "" {
		return false
	}
	if net.ParseIP(u.Hostname()) == nil && !hostName.MatchString(u.Host) {
		return false
	}
	return !strings.ContainsAny(strings.TrimPrefix(u.EscapedPath(), "/")+u.RawQuery+u.Fragment, "@,")
}

func isNoBroker(s string) bool { return !isBroker(s) }

// usesTLS says that at least one broker is spoken to over TLS.
func usesTLS(c *Config) bool {
	return slices.ContainsFunc(c.Brokers(), func(s string) bool { return strings.HasPrefix(s, "amqps:") })
}

// isReadable opens the file and closes it again; "" is none.
func isReadable(file string) bool {
	if file == "" {
		return true
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	return f.Close() == nil
}
