// Command soak runs two gateways in stream delivery for a long time, does random
// harm to them, to RabbitMQ and to the links in between, and judges what every
// client has heard, and whether the gateways' memory and descriptors grow.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	o := options{}
	flag.DurationVar(&o.length, "time", 30*time.Minute, "`how long` to do harm")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "`number` by which harm is chosen; random")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "soak: unknown argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second Ctrl-C ends it at once; the system then kills the children.
	context.AfterFunc(ctx, restore)
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
