// Command faultylinks is a toxiproxy: its HTTP interface is on the address that
// is its argument. It is a process of its own because the library leaves
// goroutines behind where a link is cut in the middle of a write, logs to a
// global logger, and can lock up for good; none of that should happen to tests.
package main

import (
	"fmt"
	"os"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: faultylinks HOST:PORT")
		os.Exit(2)
	}
	zerolog.SetGlobalLevel(zerolog.ErrorLevel) // some toxics have a logger of their own
	logger := zerolog.New(os.Stderr)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), logger)
	if err := server.Listen(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "faultylinks:", err)
		os.Exit(1)
	}
}
