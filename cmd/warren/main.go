// Command warren is the gateway: flags, signals and wiring. Only main exits.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// shards is the number of event loops: the processors that Go found at the
// start, which honours cgroup limits and GOMAXPROCS.
var shards = runtime.GOMAXPROCS(0)

func main() {
	// One more for all that is no shard: else plain HTTP and AMQP wait
	// whenever every shard is busy.
	runtime.GOMAXPROCS(shards + 1)

	ctx, stop := context.WithCancelCause(context.Background())
	obeySignals(stop)

	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "warren:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	os.Exit(exitCode(err))
}

// exitCode is 2 if the command line was wrong, 1 for other errors.
func exitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return 2
	default:
		return 1
	}
}

// usageError is a command line that can't be carried out.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() + " (see warren --help)" }
func (e *usageError) Unwrap() error { return e.err }
