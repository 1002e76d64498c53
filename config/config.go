// Package config reads Warren's configuration: the YAML file, then WARREN_
// environment variables, then flags, each overriding what came before.
package config

import "time"

// Config is everything that can be configured. The yaml tags are the keys of
// the file; the names of variables and flags follow from them.
type Config struct {
	Listen    string    `yaml:"listen"`
	Node      string    `yaml:"node"`
	Log       Log       `yaml:"log"`
	WebSocket WebSocket `yaml:"websocket"`
	Clients   Clients   `yaml:"clients"`
	Memory    Memory    `yaml:"memory"`
	AMQP      AMQP      `yaml:"amqp"`
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
	Max          int           `yaml:"max"` // 0: as many as there are descriptors
	MaxLag       Size          `yaml:"max_lag"`
	Slow         string        `yaml:"slow"` // close or skip
	CloseTimeout time.Duration `yaml:"close_timeout"`
}

// Memory bounds the sums over all clients and channels of the node.
type Memory struct {
	Logs    Size `yaml:"logs"`
	Inbound Size `yaml:"inbound"`
}

// AMQP is the link to RabbitMQ. Without a URL there is none.
type AMQP struct {
	URL            string        `yaml:"url"`
	URLs           []string      `yaml:"urls"`
	Exchange       string        `yaml:"exchange"`
	Delivery       string        `yaml:"delivery"` // queue
	Prefetch       int           `yaml:"prefetch"`
	Window         Window        `yaml:"window"`
	QueueBytes     Size          `yaml:"queue_bytes"`
	ConfirmTimeout time.Duration `yaml:"confirm_timeout"`
	Heartbeat      time.Duration `yaml:"heartbeat"`
	Reconnect      Reconnect     `yaml:"reconnect"`
	TLS            TLS           `yaml:"tls"`
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
		Clients: Clients{MaxLag: MiB, Slow: "close", CloseTimeout: 5 * time.Second},
		Memory:  Memory{Logs: 256 * MiB, Inbound: 64 * MiB},
		AMQP: AMQP{
			URLs:           []string{},
			Exchange:       "warren",
			Delivery:       "queue",
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
