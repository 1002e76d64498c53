package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"warren/amqp"
	"warren/config"
	"warren/gateway"
	"warren/gateway/admin"
)

// loadText is the configuration of a file with that text.
func loadText(t *testing.T, text string) *config.Loaded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// everything sets each key that becomes an option to a value that is neither
// its default nor another key's, so that no two can be mixed up.
const everything = `
node: n1
websocket: {path: /s, publish: false, max_message_size: 11KiB, max_deliver_size: 12KiB, handshake_timeout: 13s,
  ping_interval: 14s, pong_timeout: 15s, origins: ["https://a.example"]}
clients: {max: 16, max_per_ip: 38, handshake_rate: 39, max_lag: 17MiB, slow: skip, on_gap: close, close_timeout: 18s, max_channels: 37}
memory: {logs: 19MiB, inbound: 20MiB}
history: {messages: 21, bytes: 22KiB, age: 23s}
proxy: {protocol: true, trusted: ["10.0.0.0/8"]}
haproxy: {agent_listen: ":40", capacity: 41}
drain: {delay: 42s, period: 43s, timeout: 44m}
amqp:
  urls: ["amqp://a", "amqps://b"]
  exchange: e
  delivery: stream
  stream: {name: s, max_bytes: 24MiB, max_age: 25m, replicas: 26}
  duplicates: {ids: 27, age: 28s}
  prefetch: 29
  window: {messages: 30, bytes: 31KiB}
  queue_bytes: 32MiB
  confirm_timeout: 33s
  heartbeat: 34s
  reconnect: {min: 35s, max: 36s}
  tls: {server_name: b.example}
`

// Every key reaches the option it is for.
func TestOptions(t *testing.T) {
	l := loadText(t, everything)
	logger := slog.New(slog.DiscardHandler)

	gw := gatewayOptions(l, logger)
	if gw.Page == nil || gw.Script == nil || gw.Logger == nil {
		t.Error("gateway without page, script or logger")
	}
	gw.Page, gw.Script, gw.Logger = nil, nil, nil
	wantGateway := gateway.Options{
		WebSocket: gateway.WebSocketOptions{
			Path: "/s", ReadOnly: true, MaxMessageSize: 11 << 10, MaxDeliverSize: 12 << 10, HandshakeTimeout: 13 * time.Second,
			PingInterval: 14 * time.Second, PongTimeout: 15 * time.Second, Origins: []string{"https://a.example"},
		},
		Clients: gateway.ClientOptions{
			Max: 16, MaxPerIP: 38, HandshakeRate: 39, Capacity: 41, MaxLag: 17 << 20, Slow: gateway.SlowSkip, OnGap: gateway.GapClose, CloseTimeout: 18 * time.Second,
			MaxChannels: 37,
		},
		Memory:        gateway.MemoryOptions{Logs: 19 << 20, Inbound: 20 << 20},
		History:       gateway.HistoryOptions{Messages: 21, Bytes: 22 << 10, Age: 23 * time.Second},
		Proxy:         gateway.ProxyOptions{Protocol: true, Trusted: []string{"10.0.0.0/8"}},
		Drain:         gateway.DrainOptions{Delay: 42 * time.Second, Period: 43 * time.Second, Timeout: 44 * time.Minute},
		AwaitExchange: true,
		Node:          "n1",
		Shards:        shards,
	}
	if !reflect.DeepEqual(gw, wantGateway) {
		t.Errorf("gateway:\ngot  %+v\nwant %+v", gw, wantGateway)
	}

	adm := adminOptions(l, logger)
	if adm.Logger == nil {
		t.Error("admin without logger")
	}
	adm.Logger = nil
	if want := (admin.Options{MaxMessageSize: 11 << 10, Memory: 20 << 20}); adm != want {
		t.Errorf("admin:\ngot  %+v\nwant %+v", adm, want)
	}

	if agentOptions(logger).Logger == nil {
		t.Error("agent without logger")
	}

	ex := amqpOptions(l, logger)
	if ex.Logger == nil {
		t.Error("amqp without logger")
	}
	ex.Logger = nil
	wantAMQP := amqp.Options{
		URLs: []string{"amqp://a", "amqps://b"}, Exchange: "e", Node: "n1",
		Delivery: amqp.DeliverStream,
		Stream: amqp.StreamOptions{
			Name: "s", MaxBytes: 24 << 20, MaxAge: 25 * time.Minute, Replicas: 26, Replay: 23 * time.Second,
		},
		ForeignIDs: 27, ForeignAge: 28 * time.Second,
		Prefetch: 29, WindowMessages: 30, WindowBytes: 31 << 10, MaxQueueBytes: 32 << 20,
		ConfirmTimeout: 33 * time.Second, Heartbeat: 34 * time.Second,
		ReconnectMin: 35 * time.Second, ReconnectMax: 36 * time.Second,
		TLS: amqp.TLS{ServerName: "b.example"},
	}
	if !reflect.DeepEqual(ex, wantAMQP) {
		t.Errorf("amqp:\ngot  %+v\nwant %+v", ex, wantAMQP)
	}
}

// What is published over HTTP can be delivered, whatever clients may send.
func TestAdminTakesWhatCanBeDelivered(t *testing.T) {
	l := loadText(t, "{websocket: {publish: false}, clients: {max_lag: 8KiB}}")
	if got := adminOptions(l, slog.New(slog.DiscardHandler)).MaxMessageSize; got != 2<<10 {
		t.Errorf("up to %d bytes, want %d", got, 2<<10)
	}
}

// What the start waits for and replays follows from several keys.
func TestDeliveryOptions(t *testing.T) {
	tests := []struct {
		name, text string
		delivery   amqp.Delivery
		replay     time.Duration
		await      bool
	}{
		{"embedded", "{}", amqp.DeliverQueue, 0, false},
		{"queue", "amqp: {url: 'amqp://h'}", amqp.DeliverQueue, 0, false},
		{"stream", "amqp: {url: 'amqp://h', delivery: stream}", amqp.DeliverStream, 0, true},
		{"stream of a cluster", "amqp: {urls: ['amqp://h'], delivery: stream}", amqp.DeliverStream, 0, true},
		{"stream and history", "{history: {messages: 1}, amqp: {url: 'amqp://h', delivery: stream}}",
			amqp.DeliverStream, 5 * time.Minute, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, logger := loadText(t, tt.text), slog.New(slog.DiscardHandler)
			gw, ex := gatewayOptions(l, logger), amqpOptions(l, logger)
			if gw.AwaitExchange != tt.await {
				t.Errorf("await exchange: %v", gw.AwaitExchange)
			}
			if ex.Delivery != tt.delivery || ex.Stream.Replay != tt.replay {
				t.Errorf("delivery %v, replay %v; want %v, %v", ex.Delivery, ex.Stream.Replay, tt.delivery, tt.replay)
			}
			if gw.Clients.OnGap != gateway.GapIgnore || gw.Clients.Slow != gateway.SlowClose {
				t.Errorf("on gap %v, slow %v; want the defaults", gw.Clients.OnGap, gw.Clients.Slow)
			}
		})
	}
}
