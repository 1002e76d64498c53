// Package rigtest is package rig for tests: it builds and starts things for
// the length of a test and fails it when they don't work.
package rigtest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"warren/amqp/amqptest"
	"warren/internal/rig"
)

// Patience bounds every wait: reached only when something is broken.
const Patience = 90 * time.Second

// Programs are built once, by Main.
var Programs rig.Programs

// Main runs the tests of a package with Programs built, warren with the race
// detector, and fails if they leave goroutines behind.
func Main(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// A broker given to other tests would be input here.
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "WARREN_") {
			os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "warren-rig-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if Programs, err = rig.Build(context.Background(), dir, true); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := closeBroker(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// Context is for one wait.
func Context(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(t.Context()), Patience)
}

// Await is rig.Await.
func Await(t testing.TB, check func() error) {
	t.Helper()
	ctx, cancel := Context(t)
	defer cancel()
	Check(t, rig.Await(ctx, check))
}

// Check ends the test if there is an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// started is the RabbitMQ of all tests that do it no harm, once one has asked
// for it. Each test has an exchange of its own.
var started = sync.OnceValues(func() (*amqptest.Server, error) {
	running = true
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return amqptest.Start(ctx, "", amqptest.Options{})
})

var running bool

// Broker is a RabbitMQ that a package's tests share, and do no harm.
func Broker(t testing.TB) *amqptest.Server {
	t.Helper()
	b, err := started()
	Check(t, err)
	return b
}

func closeBroker() error {
	if !running {
		return nil
	}
	b, err := started()
	if err != nil {
		return nil // the tests have said it
	}
	return b.Close()
}

// Exchange is the exchange of the test's nodes. A test that runs again has
// another.
func Exchange(t testing.TB) string {
	run, known := runs.Load(t)
	if !known {
		run, _ = runs.LoadOrStore(t, count.Add(1))
	}
	return fmt.Sprintf("e2e.%s.%d", t.Name(), run)
}

var (
	runs  sync.Map // testing.TB to a number of its own
	count atomic.Int64
)

// Stream is the stream of the test's nodes, if they use one.
func Stream(t testing.TB) string { return Exchange(t) + ".stream" }

// Sync has RabbitMQ write to disk what was declared: see Server.Sync.
func Sync(t testing.TB, b *amqptest.Server) {
	t.Helper()
	ctx, cancel := Context(t)
	defer cancel()
	Check(t, b.Sync(ctx))
}

// Restart starts a killed RabbitMQ again, on the same port.
func Restart(t testing.TB, b *amqptest.Server) {
	t.Helper()
	ctx, cancel := Context(t)
	defer cancel()
	Check(t, b.Start(ctx))
}

// Ctl runs rabbitmqctl.
func Ctl(t testing.TB, b *amqptest.Server, args ...string) string {
	t.Helper()
	ctx, cancel := Context(t)
	defer cancel()
	out, err := b.Ctl(ctx, args...)
	Check(t, err)
	return out
}
