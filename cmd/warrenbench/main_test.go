//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the programs that the tool starts: itself as
// any of its own, and a server that takes --config.
func TestMain(m *testing.M) {
	// Not to know one of them would run the tests in it, and those start more.
	if len(os.Args) > 1 {
		if program := programs[os.Args[1]]; program != nil {
			exit(program(os.Args[2:], os.Stdout))
		}
		if os.Args[1] == "--config" && len(os.Args) > 2 {
			exit(standInServer(os.Args[2]))
		}
	}
	// Children need not wait for reports of races after their end.
	if err := os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0"); err != nil {
		exit(err)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	code := m.Run()
	if err := errors.Join(closeShared(), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// standInServer serves until it is killed.
func standInServer(config string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	var addr string
	if _, err := fmt.Sscanf(string(text), "listen: %q", &addr); err != nil {
		return fmt.Errorf("configuration %q: %w", text, err)
	}
	if os.Getenv("WARREN_AMQP_URL") != "" {
		return errors.New("a setting of the environment came through")
	}
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return err
	}
	if err := unix.Dup3(p[0], 0, 0); err != nil { // an input that never ends
		return err
	}
	return runBare([]string{"-echo", "-listen", addr}, os.Stderr)
}

// testBench has a stand-in for a server, a new process each time.
func testBench(t *testing.T) *bench {
	t.Helper()
	return &bench{size: 64, limit: 1000, log: t.Output(), fresh: true, start: func(context.Context) (target, func() error, error) {
		y, err := startYardstick(64, true, t.Output())
		if err != nil {
			return target{}, nil, err
		}
		y.name = "server"
		return y.target, y.stop, nil
	}}
}

func TestBenchmarks(t *testing.T) {
	for _, c := range []struct {
		name  string
		bench benchmark
		want  []string // figures
	}{
		{"delivery", delivery{clients: 20, warm: 2, rounds: 20, trials: 2, atMost: 1e6}, []string{"CPU a delivery, 20 clients"}},
		{"paced", delivery{clients: 5, rounds: 3, every: time.Millisecond, trials: 1}, []string{"CPU a delivery, 5 clients"}},
		{"throughput", throughput{clients: 20, warm: 50 * time.Millisecond, window: 200 * time.Millisecond, trials: 2, atLeast: 1e-9}, []string{"deliveries a second, 20 clients", "CPU a delivery meanwhile"}},
		{"latency", latency{clients: 20, rate: 100, seconds: 1, trials: 1}, []string{"delivery p50, 20 clients × 100 msg/s", "delivery p99", "CPU a delivery meanwhile"}},
		{"handshake", handshakes{connections: 200, trials: 2, atMost: 1e6}, []string{"CPU a handshake"}},
		{"memory", idle{few: 5, many: 200, settle: 5 * time.Second, trials: 1, atMost: 1e9}, []string{"memory an idle client"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			figures, err := c.bench.run(t.Context(), testBench(t))
			if err != nil {
				t.Fatal(err)
			}
			checkFigures(t, figures, c.want, c.name != "memory")
		})
	}
}

// checkFigures wants figures of those names, their targets met; positive ones,
// unless they may be nothing.
func checkFigures(t *testing.T, figures []figure, want []string, positive bool) {
	t.Helper()
	if len(figures) != len(want) {
		t.Fatalf("%d figures, want %q", len(figures), want)
	}
	for i, f := range figures {
		if f.What != want[i] {
			t.Errorf("figure %q, want %q", f.What, want[i])
		}
		if f.Met != nil && !*f.Met {
			t.Errorf("%s: target %s missed with %v: server %v", f.What, f.Target, f.Ratio, f.Server)
		}
		if positive && (f.Server.Median <= 0 || f.Yardstick.Median <= 0 || f.Ratio.Median <= 0) {
			t.Errorf("%s: server %v, yardstick %v, ratio %v: want them positive", f.What, f.Server, f.Yardstick, f.Ratio)
		}
	}
}

func TestRunStartsServerAndReports(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("WARREN_AMQP_URL", "amqp://somewhere")
	var out bytes.Buffer
	err = run(t.Context(), []string{"-server", self, "-run", "delivery", "-trials", "1", "-json"}, &out, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Machine machine
		Figures []figure
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if len(report.Figures) != 1 || report.Figures[0].Server.Trials != 1 || report.Figures[0].Met == nil || report.Machine.CPUs == 0 {
		t.Errorf("report %+v", report)
	}
}

func TestRunSaysWhyNot(t *testing.T) {
	for _, c := range []struct {
		args  string
		usage bool
		want  string
	}{
		{"-run speed", true, `-run "speed": must be of delivery`},
		{"-pid 1", true, "-pid goes with -url"},
		{"-url ws://127.0.0.1:1/ws -pid x", true, `-pid "x": must be process ids`},
		{"-url ws://127.0.0.1:1/ws -server s", true, "exclude each other"},
		{"-url ws://192.0.2.1:80/ws", true, "must be an IPv4 loopback address"},
		{"-url wss://127.0.0.1:80/ws", true, "must be ws://"},
		{"-size 1", true, "-size 1: must be 8 to"},
		{"-trials -1", true, "must not be negative"},
		{"more", true, `unexpected argument "more"`},
		{"-nonsense", true, "not defined"},
		{"-run json -url ws://127.0.0.1:1/ws", true, "-run json starts servers of its own"},
		{"-run stream -url ws://127.0.0.1:1/ws", true, "-run stream starts servers of its own"},
		{"-run handshake -server /does/not/exist", false, "no such file"},
		{"-run handshake -server /bin/false", false, "ended before it accepted connections: exit status 1"},
		{"-run handshake -url ws://127.0.0.1:1/ws -pid 1", false, "connection refused"},
	} {
		err := run(t.Context(), strings.Fields(c.args), t.Output(), t.Output())
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, new(usageError)) != c.usage {
			t.Errorf("%s: error %v, want %q, usage %t", c.args, err, c.want, c.usage)
		}
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	b := testBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	start := b.start
	b.start = func(ctx context.Context) (target, func() error, error) {
		defer cancel()
		return start(ctx)
	}
	_, err := throughput{clients: 5, window: time.Hour, trials: 1}.run(ctx, b)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
