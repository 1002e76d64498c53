//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "warrenbench: measures through epoll and /proc: run it on Linux")
	os.Exit(2)
}
