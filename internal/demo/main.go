// Command demo runs all of Warren on this machine: RabbitMQ, two gateways and
// HAProxy. Ctrl-C ends it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	o := options{amqpURL: os.Getenv("WARREN_AMQP_URL")}
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`HOST:PORT` of HAProxy, where browsers connect")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unknown argument %q\n", flag.Arg(0))
		os.Exit(2)
	}

	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second Ctrl-C ends it at once; the system then kills the children.
	context.AfterFunc(ctx, restore)
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
