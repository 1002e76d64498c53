//go:build linux

// Command warrenbench loads a gateway on this machine and reports what it costs,
// each figure beside a yardstick that runs in turn with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// main stays on the first thread: children die with the thread that began them.
func init() { runtime.LockOSThread() }

func main() {
	if len(os.Args) > 1 && programs[os.Args[1]] != nil {
		if err := programs[os.Args[1]](os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "warrenbench: %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case errors.As(err, new(usageError)):
		fmt.Fprintln(os.Stderr, "warrenbench:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "warrenbench:", err)
		os.Exit(1)
	}
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// benchmark is one entry of the suite.
type benchmark interface {
	run(ctx context.Context, b *bench) ([]figure, error)
}

// suite has the targets that the project has set itself.
var suite = []struct {
	name string
	benchmark
	starts bool // servers of its own: not for one that runs already
	asked  bool // only if it is named
}{
	{"delivery", delivery{clients: 1000, warm: 20, rounds: 150, trials: 11, atMost: 1.25}, false, false},
	{"delivery10k", delivery{clients: 10000, warm: 4, rounds: 16, every: 125 * time.Millisecond, trials: 5}, false, false},
	{"throughput", throughput{clients: 1000, warm: time.Second, window: 4 * time.Second, trials: 3, atLeast: 3}, false, false},
	{"latency", latency{clients: 1000, rate: 100, seconds: 4, trials: 3}, false, false},
	{"handshake", handshakes{connections: 5000, trials: 7, atMost: 2.5}, false, false},
	{"memory", idle{few: 1000, many: 15000, settle: 20 * time.Second, trials: 3, atMost: 600}, false, false},
	{"json", jsonProtocol{
		delivery:   delivery{clients: 1000, warm: 20, rounds: 150, trials: 11, atMost: 1.3},
		publish:    publish{warm: 2000, messages: 50_000, trials: 5},
		throughput: throughput{clients: 1000, warm: time.Second, window: 4 * time.Second, trials: 3},
	}, true, false},
	{"stream", relay{senders: 4, receivers: 4, warm: 10_000, messages: 150_000, trials: 5, atLeast: 0.6}, true, false},
	{"catchup", catchup{clients: 4, messages: 300_000, trials: 3, atLeast: 0.7}, true, false},
	{"replay", replay{live: live{clients: 100, rate: 100}, resumers: 200, messages: 10_000, window: 4 * time.Second, trials: 5, atMost: 2}, true, false},
	{"haproxy", proxied{fronts: forms, loads: proxyLoads, window: 700 * time.Millisecond, connections: 1000, trials: 3}, true, false},
	{"haproxyfiles", proxied{fronts: shippedFiles, loads: proxyLoads, window: 700 * time.Millisecond, connections: 300, trials: 5, note: veilNote}, true, false},
	{"haproxytune", proxied{fronts: tuned, loads: proxyLoads, window: 700 * time.Millisecond, connections: 1000, trials: 2}, true, true},
	{"storm", storm{live: live{clients: 100, rate: 100}, clients: 15000, gusts: 4, calm: 2 * time.Second, trials: 7, atLeast: 0.5, atMost: 3}, true, false},
	{"refusal", refusal{clients: 15000, trials: 5, atMost: 1}, true, false},
	{"drain", departure{clients: 15000, rate: 1, delay: time.Second, period: 30 * time.Second, trials: 1, atMost: 1.2}, true, false},
	{"outage", bystanders{live: live{clients: 100, rate: 100}, backlog: 300_000, window: 5 * time.Second, trials: 3, atMost: 2}, true, false},
}

type options struct {
	run    []string
	server string
	url    string
	pids   []int
	size   int
	trials int
	json   bool
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	var names, usual, asked, running []string // all, and of them those for a server that runs already
	for _, s := range suite {
		names = append(names, s.name)
		if s.asked {
			asked = append(asked, s.name)
		} else {
			usual = append(usual, s.name)
		}
		if !s.starts {
			running = append(running, s.name)
		}
	}
	var only, pids string
	flags := flag.NewFlagSet("warrenbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&only, "run", "", "benchmarks, by comma: "+strings.Join(names, ", ")+" (default: all but "+strings.Join(asked, ", ")+"; with -url: those that start no server)")
	flags.StringVar(&o.server, "server", "", "gateway `binary` (default: built from ./cmd/warren)")
	flags.StringVar(&o.url, "url", "", "a server that runs already on a loopback address, as ws://127.0.0.1:3000/ws/bench; it must send a client's message to all clients")
	flags.StringVar(&pids, "pid", "", "with -url: its process ids, by comma, for CPU and memory")
	flags.IntVar(&o.size, "size", 64, "bytes of a message")
	flags.IntVar(&o.trials, "trials", 0, "trials of each (default: each benchmark's own)")
	flags.BoolVar(&o.json, "json", false, "report as JSON")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usageError{err}
	}
	if flags.NArg() > 0 {
		return o, usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	o.run = usual
	if o.url != "" {
		o.run = running
	}
	if only != "" {
		o.run = strings.Split(only, ",")
	}
	for _, n := range o.run {
		if !slices.Contains(names, n) {
			return o, usageError{fmt.Errorf("-run %q: must be of %s", n, strings.Join(names, ", "))}
		}
		if o.url != "" && !slices.Contains(running, n) {
			return o, usageError{fmt.Errorf("-run %s starts servers of its own: leave out -url", n)}
		}
	}
	for _, p := range strings.FieldsFunc(pids, func(r rune) bool { return r == ',' }) {
		pid, err := strconv.Atoi(p)
		if err != nil || pid <= 0 || pid > 1<<22 { // PID_MAX_LIMIT
			return o, usageError{fmt.Errorf("-pid %q: must be process ids, by comma", p)}
		}
		o.pids = append(o.pids, pid)
	}
	switch {
	case o.size < seqDigits || o.size > 32<<10:
		return o, usageError{fmt.Errorf("-size %d: must be %d to %d bytes", o.size, seqDigits, 32<<10)}
	case o.trials < 0:
		return o, usageError{fmt.Errorf("-trials %d: must not be negative", o.trials)}
	case o.url != "" && o.server != "":
		return o, usageError{errors.New("-url and -server exclude each other")}
	case o.url == "" && pids != "":
		return o, usageError{errors.New("-pid goes with -url")}
	}
	return o, nil
}

// run does what the command line asks for. A target that is missed is reported
// and is no error; a client that is cut off or misses a message is one.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	limit, err := descriptors()
	if err != nil {
		return err
	}
	b := &bench{size: o.size, trials: o.trials, limit: limit, log: stderr}
	if o.url != "" {
		t, err := parseURL(o.url, o.pids)
		if err != nil {
			return usageError{err}
		}
		b.start = func(context.Context) (target, func() error, error) { return t, func() error { return nil }, nil }
	} else {
		dir, err := os.MkdirTemp("", "warrenbench-")
		if err != nil {
			return fmt.Errorf("make a temporary folder: %w", err)
		}
		defer os.RemoveAll(dir)
		if o.server == "" {
			if o.server, err = buildServer(ctx, dir, stderr); err != nil {
				return err
			}
		}
		b.fresh = true
		b.node = func(ctx context.Context, settings string) (target, func() error, error) {
			t, p, err := startServer(ctx, o.server, dir, settings, stderr)
			return t, func() error { return terminate(p) }, err
		}
		b.start = func(ctx context.Context) (target, func() error, error) { return b.node(ctx, "") }
		b.broker = startBroker
	}
	var figures []figure
	var failed []error
	for _, s := range suite {
		if !slices.Contains(o.run, s.name) {
			continue
		}
		f, err := s.run(ctx, b)
		for i := range f {
			f[i].Bench = s.name
		}
		figures = append(figures, f...)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped: %w", ctx.Err())
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	write := writeTable
	if o.json {
		write = writeJSON
	}
	return errors.Join(write(stdout, thisMachine(limit), figures), errors.Join(failed...))
}
