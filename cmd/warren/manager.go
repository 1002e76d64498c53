package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"warren/gateway"
)

const (
	// statusEvery is how often the status is looked at; it is sent if it has
	// changed.
	statusEvery = time.Second

	// endTime is for what a stop does behind drain.timeout: the other
	// listeners end, and the process.
	endTime = 10 * time.Second
)

// manager tells the service manager how the node is (sd_notify(3)).
type manager struct {
	node     reporter
	send     func(state string) error
	watchdog time.Duration // without a sign of life before the process is ended; 0: any
	timeout  time.Duration // of a stop
	log      *slog.Logger

	status string // as last sent
	failed bool   // to send; said once
}

// reporter is a *gateway.Gateway. Any goroutine.
type reporter interface {
	// Alive returns nil once every event loop has answered, or ctx's error.
	Alive(ctx context.Context) error
	Status() error
	Drained() gateway.DrainState
}

// newManager is nil if no service manager wants to know. The variables for the
// watchdog are taken; forget takes the rest.
func newManager(node reporter, stopTimeout time.Duration, logger *slog.Logger) (*manager, error) {
	watchdog, err := daemon.SdWatchdogEnabled(true)
	if err != nil {
		return nil, fmt.Errorf("service manager: %w", err)
	}
	if os.Getenv(notifySocket) == "" {
		return nil, nil
	}
	return &manager{
		node: node,
		send: func(state string) error {
			_, err := daemon.SdNotify(false, state)
			return err
		},
		watchdog: watchdog,
		timeout:  stopTimeout,
		log:      logger.With("component", "manager"),
	}, nil
}

const notifySocket = "NOTIFY_SOCKET"

// run reports until serving ends: ready once the node serves, whether its
// exchange is there or not; then signs of life; what is missing, whenever that
// changes; and that the node stops, once ctx ends.
func (m *manager) run(ctx, serving context.Context) {
	defer os.Unsetenv(notifySocket)
	if m.node.Alive(serving) == nil {
		m.report(daemon.SdNotifyReady)
	}
	look := time.NewTicker(statusEvery)
	defer look.Stop()
	var beat <-chan time.Time // nil: never
	if m.watchdog > 0 {
		ticker := time.NewTicker(m.watchdog / 2)
		defer ticker.Stop()
		beat = ticker.C
	}
	stop := ctx.Done()
	for {
		select {
		case <-serving.Done():
			return
		case <-stop:
			stop = nil
			// Else it would kill the node after TimeoutStopSec=, in its drain.
			m.report(daemon.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (m.timeout+endTime).Microseconds()))
		case <-look.C:
			m.report()
		case <-beat:
			m.beat(serving)
		}
	}
}

// report sends what is new, and the status if that has changed. All of it goes
// in one datagram, so that nobody sees one without the other.
func (m *manager) report(news ...string) {
	if s := "STATUS=" + m.describe(); s != m.status {
		m.status = s
		news = append(news, s)
	}
	if len(news) == 0 {
		return
	}
	if err := m.send(strings.Join(news, "\n")); err != nil && !m.failed {
		m.failed = true
		m.log.Warn("cannot tell the service manager how the node is", "err", err)
	}
}

// beat gives a sign of life if the node has one.
func (m *manager) beat(serving context.Context) {
	ctx, cancel := context.WithTimeout(serving, m.watchdog/2)
	defer cancel()
	switch err := m.node.Alive(ctx); {
	case err == nil:
		m.report(daemon.SdNotifyWatchdog)
	case serving.Err() == nil:
		m.log.Error("no sign of life for the watchdog: the node does not answer", "err", err)
	}
}

// describe is one line for whoever asks the service manager.
func (m *manager) describe() string {
	why, drain := m.node.Status(), m.node.Drained()
	switch {
	case drain.Phase == gateway.Stopping:
		return fmt.Sprintf("stopping; clients left: %d", drain.Clients)
	case drain.Phase == gateway.Empty:
		return "drained; clients left: 0"
	case drain.Phase == gateway.Announced:
		return fmt.Sprintf("draining, new clients still taken; clients: %d", drain.Clients)
	case drain.Phase == gateway.Emptying, errors.Is(why, gateway.ErrDraining):
		return fmt.Sprintf("draining; clients left: %d", drain.Clients)
	case why != nil:
		return "not ready: " + strings.ReplaceAll(why.Error(), "\n", "; ")
	}
	return "ready"
}
