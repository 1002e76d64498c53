// Package config reads Warren's configuration: the YAML file, then WARREN_
// environment variables, then flags, each overriding what came before.
package config

import "time"

// Config is everything that can be configured. The yaml tags are the keys of
// the file; the names of variables and flags follow from them.
type Config struct {
	Listen    string    `yaml:"listen"`
	Admin     Admin     `yaml:"admin"`
	Node      string    `yaml:"node"`
	Log       Log       `yaml:"log"`
	WebSocket WebSocket `yaml:"websocket"`
	Clients   Clients   `yaml:"clients"`
	Memory    Memory    `yaml:"memory"`
	History   History   `yaml:"history"`
	Proxy     Proxy     `yaml:"proxy"`
	AMQP      AMQP      `yaml:"amqp"`
	HAProxy   HAProxy   `yaml:"haproxy"`
	Drain     Drain     `yaml:"drain"`
}

// Admin is what only this machine, or a network of one's own, should reach.
type Admin struct {
	Listen string `yaml:"listen"` // "": there is none
}

// Log is what is written to stderr, and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

// WebSocket is what clients may ask for and send.
type WebSocket struct {
	Path             string        `yaml:"path"`
	Publish          bool          `yaml:"publish"`
	MaxMessageSize   Size          `yaml:"max_message_size"`
	MaxDeliverSize   Size          `yaml:"max_deliver_size"` // 0: see DeliverSize
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`
	PingInterval     time.Duration `yaml:"ping_interval"`
	PongTimeout      time.Duration `yaml:"pong_timeout"`
	Origins          []string      `yaml:"origins"`
}

// Clients bounds the clients.
type Clients struct {
	Max           int           `yaml:"max"`            // 0: as many as there are descriptors
	MaxPerIP      int           `yaml:"max_per_ip"`     // 0: any number
	HandshakeRate int           `yaml:"handshake_rate"` // a second; 0: any
	MaxLag        Size          `yaml:"max_lag"`
	Slow          string        `yaml:"slow"`   // close or skip
	OnGap         string        `yaml:"on_gap"` // ignore or close
	CloseTimeout  time.Duration `yaml:"close_timeout"`
	MaxChannels   int           `yaml:"max_channels"` // of one client of the JSON protocol
}

// Memory bounds the sums over all clients and channels of the node.
type Memory struct {
	Logs    Size `yaml:"logs"`
	Inbound Size `yaml:"inbound"`
}

// History is what each channel keeps for clients that ask for it; every bound
// counts by itself.
type History struct {
	Messages int           `yaml:"messages"` // 0: no history
	Bytes    Size          `yaml:"bytes"`
	Age      time.Duration `yaml:"age"`
}

// Proxy says whose word counts about who a client is.
type Proxy struct {
	Protocol bool     `yaml:"protocol"` // trusted peers begin with a PROXY protocol header
	Trusted  []string `yaml:"trusted"`  // addresses and prefixes of proxies
}

// HAProxy is what the node tells HAProxy's agent check.
type HAProxy struct {
	AgentListen string `yaml:"agent_listen"` // "": there is none
	Capacity    int    `yaml:"capacity"`     // clients of a full node; 0: see docs/configuration.md
}

// Drain is how a node is emptied of its clients before it stops.
type Drain struct {
	Delay   time.Duration `yaml:"delay"`   // unready, and still taking clients
	Period  time.Duration `yaml:"period"`  // in which they are closed, evenly
	Timeout time.Duration `yaml:"timeout"` // for all of a stop
}

// AMQP is the link to RabbitMQ. Without a URL there is none.
type AMQP struct {
	URL            string        `yaml:"url"`
	URLs           []string      `yaml:"urls"`
	Exchange       string        `yaml:"exchange"`
	Delivery       string        `yaml:"delivery"` // queue or stream
	Stream         Stream        `yaml:"stream"`   // for delivery stream
	Duplicates     Duplicates    `yaml:"duplicates"`
	Prefetch       int           `yaml:"prefetch"`
	Window         Window        `yaml:"window"`
	QueueBytes     Size          `yaml:"queue_bytes"`
	ConfirmTimeout time.Duration `yaml:"confirm_timeout"`
	Heartbeat      time.Duration `yaml:"heartbeat"`
	Reconnect      Reconnect     `yaml:"reconnect"`
	TLS            TLS           `yaml:"tls"`
}

// Stream is the one stream that all nodes read. All but its name counts for
// the node that makes it.
type Stream struct {
	Name     string        `yaml:"name"`
	MaxBytes Size          `yaml:"max_bytes"`
	MaxAge   time.Duration `yaml:"max_age"`
	Replicas int           `yaml:"replicas"` // 0: RabbitMQ's choice
}

// Duplicates bounds the message ids of programs that aren't Warren, which are
// remembered to recognise duplicates by.
type Duplicates struct {
	IDs int           `yaml:"ids"`
	Age time.Duration `yaml:"age"`
}

// Window bounds what was published and not yet confirmed.
type Window struct {
	Messages int  `yaml:"messages"`
	Bytes    Size `yaml:"bytes"`
}

// Reconnect is the range of the backoff between attempts to reach a broker.
type Reconnect struct {
	Min time.Duration `yaml:"min"`
	Max time.Duration `yaml:"max"`
}

// TLS is for amqps:// URLs; CA, Cert and Key are names of PEM files.
type TLS struct {
	CA         string `yaml:"ca"`
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"`
}

// Default is the one place that defaults are written in. config.yaml and
// docs/configuration.md are tested against it.
func Default() Config {
	return Config{
		Listen: ":3000",
		Admin:  Admin{Listen: "127.0.0.1:3001"},
		Log:    Log{Level: "info", Format: "text"},
		WebSocket: WebSocket{
			Path:             "/ws",
			Publish:          true,
			MaxMessageSize:   64 * KiB,
			HandshakeTimeout: 5 * time.Second,
			PingInterval:     25 * time.Second,
			PongTimeout:      10 * time.Second,
			Origins:          []string{},
		},
		Clients: Clients{MaxLag: MiB, Slow: "close", OnGap: "ignore", CloseTimeout: 5 * time.Second, MaxChannels: 128},
		Memory:  Memory{Logs: 256 * MiB, Inbound: 64 * MiB},
		History: History{Bytes: 8 * MiB, Age: 5 * time.Minute},
		Proxy:   Proxy{Trusted: []string{"127.0.0.0/8", "::1/128"}},
		Drain:   Drain{Delay: 10 * time.Second, Period: 30 * time.Second, Timeout: 90 * time.Second},
		AMQP: AMQP{
			URLs:           []string{},
			Exchange:       "warren",
			Delivery:       "queue",
			Stream:         Stream{Name: "warren.stream", MaxBytes: GiB, MaxAge: time.Hour},
			Duplicates:     Duplicates{IDs: 65536, Age: 2 * time.Minute},
			Prefetch:       1000,
			Window:         Window{Messages: 4096, Bytes: 16 * MiB},
			QueueBytes:     256 * MiB,
			ConfirmTimeout: 10 * time.Second,
			Heartbeat:      5 * time.Second,
			Reconnect:      Reconnect{Min: 200 * time.Millisecond, Max: 15 * time.Second},
		},
	}
}

// DeliverSize is the largest message that goes out to clients, in bytes.
// 0 in the configuration stands for a quarter of clients.max_lag: one message
// may not make a client slow.
func (c Config) DeliverSize() Size {
	if c.WebSocket.MaxDeliverSize == 0 {
		return c.Clients.MaxLag / 4
	}
	return c.WebSocket.MaxDeliverSize
}

// Brokers is the list of AMQP URLs, whichever key they came by; empty for the
// embedded exchange. They hold passwords.
func (c Config) Brokers() []string {
	if c.AMQP.URL != "" {
		return []string{c.AMQP.URL}
	}
	return c.AMQP.URLs
}
