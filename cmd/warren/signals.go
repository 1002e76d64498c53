package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"warren/gateway"
)

// obeySignals stops the node at the first signal from now on: SIGTERM drains it,
// SIGINT (Ctrl-C) skips the drain. A second one of either kind ends the process
// at once.
func obeySignals(stop context.CancelCauseFunc) {
	signals := make(chan os.Signal, 2) // two count, and neither may be missed
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if first := <-signals; first == os.Interrupt {
			stop(gateway.ErrStopNow)
		} else {
			stop(nil)
		}
		die((<-signals).(syscall.Signal))
	}()
}

// die ends the process as sig does where nobody handles it, so that whoever
// waits for it sees why. To process 1, as in a container, the kernel gives no
// such default (pid_namespaces(7)): it exits with the status a shell would show.
func die(sig syscall.Signal) {
	if os.Getpid() != 1 {
		signal.Reset(sig)
		if syscall.Kill(os.Getpid(), sig) == nil {
			select {} // until it has arrived
		}
	}
	os.Exit(128 + int(sig))
}
