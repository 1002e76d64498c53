package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"warren/config"
)

func TestMain(m *testing.M) {
	// The demo and other tests take WARREN_AMQP_URL; here it would be input.
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "WARREN_") {
			os.Unsetenv(name)
		}
	}
	goleak.VerifyTestMain(m)
}

// write puts text into a new config.yaml and returns its name.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func load(t *testing.T, text string) *config.Loaded {
	t.Helper()
	l, err := config.Load(write(t, text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Every file in testdata/bad says in its first line what it must get.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want, ok := strings.CutPrefix(first, "# error: ")
			if !ok {
				t.Fatalf("first line %q: must begin with # error:", first)
			}
			_, err = config.Load(file, nil)
			if err == nil {
				t.Fatal("loaded")
			}
			if got := err.Error(); got != file+want {
				t.Errorf("got  %s\nwant %s%s", got, file, want)
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("password or line break in %q", err)
			}
		})
	}
}

func TestFileOverridesDefaults(t *testing.T) {
	l := load(t, `
log: # nothing
listen: 127.0.0.1:80
admin: {listen: ""}
websocket:
  publish: false
  max_message_size: 10 kb
  ping_interval: 1m30s
  origins: ["https://a.example", "http://b.example:8080", "*"]
clients: {max: 12, max_lag: 2097152, slow: skip, on_gap: close, max_channels: 10000, max_per_ip: 3, handshake_rate: 1048576}
history: {messages: 100, bytes: 256MiB, age: 1s}
proxy: {protocol: true, trusted: [10.1.2.3, "2001:db8::/32"]}
haproxy: {agent_listen: ":3004", capacity: 1000}
drain: {delay: 0s, period: 54s, timeout: 1m}
amqp.exchange: flat
amqp:
  urls: ["amqp://a"]
  delivery: stream
  stream: {name: events, max_bytes: 16MiB, max_age: 8760h, replicas: 3}
  duplicates: {ids: 16777216, age: 24h}
`)
	want := config.Default()
	want.Listen, want.Admin.Listen = "127.0.0.1:80", ""
	want.WebSocket.Publish = false
	want.WebSocket.MaxMessageSize = 10 * config.KB
	want.WebSocket.PingInterval = 90 * time.Second
	want.WebSocket.Origins = []string{"https://a.example", "http://b.example:8080", "*"}
	want.Clients = config.Clients{Max: 12, MaxLag: 2 * config.MiB, Slow: "skip", OnGap: "close", CloseTimeout: 5 * time.Second,
		MaxChannels: 10000, MaxPerIP: 3, HandshakeRate: 1 << 20}
	want.Proxy = config.Proxy{Protocol: true, Trusted: []string{"10.1.2.3", "2001:db8::/32"}}
	want.HAProxy = config.HAProxy{AgentListen: ":3004", Capacity: 1000}
	want.Drain = config.Drain{Period: 54 * time.Second, Timeout: time.Minute}
	want.History = config.History{Messages: 100, Bytes: 256 * config.MiB, Age: time.Second}
	want.AMQP.URLs = []string{"amqp://a"}
	want.AMQP.Delivery = "stream"
	want.AMQP.Stream = config.Stream{Name: "events", MaxBytes: 16 * config.MiB, MaxAge: 8760 * time.Hour, Replicas: 3}
	want.AMQP.Duplicates = config.Duplicates{IDs: 1 << 24, Age: 24 * time.Hour}
	want.AMQP.Exchange = "flat"
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("got  %+v\nwant %+v", l.Config, want)
	}
	if got := l.DeliverSize(); got != 512*config.KiB {
		t.Errorf("deliver size %v", got)
	}
}

func TestOrderOfSources(t *testing.T) {
	const file = "{listen: ':1', node: file, log: {level: warn}, clients: {max: 1}}"
	t.Setenv("WARREN_NODE", "env")
	t.Setenv("WARREN_LOG_LEVEL", "error")
	t.Setenv("WARREN_ADMIN_LISTEN", "[::1]:3001")
	t.Setenv("WARREN_CLIENTS_MAX_CHANNELS", "1")
	t.Setenv("WARREN_LISTEN", "") // unset, as a compose file may leave it
	t.Setenv("WARREN_CLIENTS_MAX", "7")
	t.Setenv("WARREN_WEBSOCKET_PUBLISH", "0")
	t.Setenv("WARREN_WEBSOCKET_ORIGINS", "https://a.example, https://b.example")
	t.Setenv("WARREN_AMQP_WINDOW_BYTES", "1GiB")
	t.Setenv("WARREN_AMQP_RECONNECT_MIN", "2s")
	t.Setenv("WARREN_AMQP_STREAM_MAX_AGE", "90s")
	t.Setenv("WARREN_HISTORY_MESSAGES", "5")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("log-level", "ignored", "")
	flags.String("log-format", "ignored", "")
	if err := flags.Parse([]string{"--log-level=debug"}); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(write(t, file), flags)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen, want.Node = ":1", "env"
	want.Log.Level = "debug"
	want.Admin.Listen = "[::1]:3001"
	want.Clients.Max, want.Clients.MaxChannels = 7, 1
	want.WebSocket.Publish = false
	want.WebSocket.Origins = []string{"https://a.example", "https://b.example"}
	want.AMQP.Window.Bytes = config.GiB
	want.AMQP.Reconnect.Min = 2 * time.Second
	want.AMQP.Stream.MaxAge = 90 * time.Second
	want.History.Messages = 5
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("got  %+v\nwant %+v", l.Config, want)
	}
}

// Errors say which source a value came from.
func TestErrorsNameTheSource(t *testing.T) {
	tests := []struct {
		name, variable, value, flag, want string
	}{
		{"variable", "WARREN_CLIENTS_MAX", "many", "",
			`WARREN_CLIENTS_MAX: clients.max: "many": must be a whole number`},
		{"variable's duration", "WARREN_WEBSOCKET_PING_INTERVAL", "25", "",
			`WARREN_WEBSOCKET_PING_INTERVAL: websocket.ping_interval: "25": must be a duration with its unit, such as 500ms, 25s or 1h30m`},
		{"variable's bool", "WARREN_WEBSOCKET_PUBLISH", "maybe", "",
			`WARREN_WEBSOCKET_PUBLISH: websocket.publish: "maybe": must be true or false`},
		{"flag", "", "", "--log-level=loud",
			`--log-level: log.level: "loud": must be debug, info, warn or error`},
		{"flag over variable", "WARREN_LOG_LEVEL", "info", "--log-level=",
			`--log-level: log.level: "": must be debug, info, warn or error`},
		{"password in a variable", "WARREN_AMQP_URL", "amqp//u:s3cret@h", "",
			`WARREN_AMQP_URL: amqp.url: (not shown): must be amqp://user:password@host:port/vhost or amqps://, with special characters percent-encoded; several go into amqp.urls`},
		{"misspelt", "WARREN_AMPQ_URL", "amqp://h", "",
			`environment: WARREN_AMPQ_URL: unknown variable; did you mean WARREN_AMQP_URL?`},
		{"unknown", "WARREN_COLOUR_SCHEME", "1", "",
			`environment: WARREN_COLOUR_SCHEME: unknown variable; names are WARREN_ and the key in capitals, such as WARREN_AMQP_URL for amqp.url`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.variable != "" {
				t.Setenv(tt.variable, tt.value)
			}
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			flags.String("log-level", "", "")
			if tt.flag != "" {
				if err := flags.Parse([]string{tt.flag}); err != nil {
					t.Fatal(err)
				}
			}
			_, err := config.Load("", flags)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// Without history its bounds bind nobody: who makes memory.logs small need not
// know of them.
func TestHistoryBoundsCountWithHistory(t *testing.T) {
	l := load(t, "{memory: {logs: 4MiB}, history: {bytes: 5MiB}}")
	if l.Memory.Logs != 4*config.MiB || l.History.Bytes != 5*config.MiB {
		t.Errorf("got %+v, %+v", l.Memory, l.History)
	}
}

// A stream's broker may come from another source than amqp.delivery.
func TestStreamTakesItsBrokerFromAnySource(t *testing.T) {
	t.Setenv("WARREN_AMQP_URL", "amqp://u:s3cret@h")
	load(t, "amqp: {delivery: stream}")

	t.Setenv("WARREN_AMQP_URL", "")
	t.Setenv("WARREN_AMQP_DELIVERY", "stream")
	load(t, "amqp: {urls: ['amqp://a', 'amqp://b']}")
	_, err := config.Load("", nil)
	if want := `WARREN_AMQP_DELIVERY: amqp.delivery: "stream": must be queue, or amqp.url or amqp.urls be set too: ` +
		"the stream is kept by RabbitMQ"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Kubernetes and docker --link set these for a service named warren.
func TestServiceLinksAreNoConfiguration(t *testing.T) {
	for _, name := range []string{
		"WARREN_SERVICE_HOST", "WARREN_SERVICE_PORT", "WARREN_SERVICE_PORT_HTTP", "WARREN_PORT", "WARREN_PORT_3000_TCP",
		"WARREN_PORT_3000_TCP_PROTO", "WARREN_PUBLIC_SERVICE_HOST", "WARREN_PUBLIC_PORT_3000_TCP_ADDR", "WARREN_CONFIG",
	} {
		t.Setenv(name, "10.0.0.1")
	}
	if _, err := config.Load("", nil); err != nil {
		t.Error(err)
	}
}

// Who sets WARREN_AMQP_URL over a file with amqp.urls means it.
func TestStrongerBrokerKeyWins(t *testing.T) {
	t.Setenv("WARREN_AMQP_URL", "amqp://env")
	if got := load(t, "amqp: {urls: ['amqp://a', 'amqps://b']}").Brokers(); !reflect.DeepEqual(got, []string{"amqp://env"}) {
		t.Errorf("got %q", got)
	}
	t.Setenv("WARREN_AMQP_URL", "")
	t.Setenv("WARREN_AMQP_URLS", "amqp://c,amqp://d")
	if got := load(t, "amqp: {url: 'amqp://a'}").Brokers(); !reflect.DeepEqual(got, []string{"amqp://c", "amqp://d"}) {
		t.Errorf("got %q", got)
	}
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := config.Find(""); got != "" && got != "/etc/warren/config.yaml" {
		t.Errorf("in an empty directory: %q", got)
	}
	if err := os.WriteFile("config.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := config.Find(""); got != "config.yaml" {
		t.Errorf("in the working directory: %q", got)
	}
	t.Setenv("WARREN_CONFIG", "other.yaml")
	if got := config.Find(""); got != "other.yaml" {
		t.Errorf("by the variable: %q", got)
	}
	if got := config.Find("named.yaml"); got != "named.yaml" {
		t.Errorf("by the flag: %q", got)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.Load("no/such.yaml", nil)
	if err == nil || err.Error() != "read configuration: open no/such.yaml: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestReject(t *testing.T) {
	t.Setenv("WARREN_AMQP_URL", "amqp://u:s3cret@h")
	l := load(t, "listen: ':80'")
	if got, want := l.Reject("listen", "free").Error(), l.File+`:1: listen: ":80": must be free`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := l.Reject("amqp.url", "up").Error(), "WARREN_AMQP_URL: amqp.url: amqp://u:xxxxx@h: must be up"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := l.Reject("log.level", "other").Error(), `default: log.level: "info": must be other`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
