package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"

	"warren/amqp"
	"warren/config"
	"warren/gateway"
)

// serve runs one node until ctx ends.
func serve(ctx context.Context, l *config.Loaded, stderr io.Writer) error {
	logger, err := newLogger(l.Log, stderr)
	if err != nil {
		return err
	}
	if l.Node == "" {
		l.Node = nodeName()
	}
	gw, err := build(l, logger)
	if err != nil {
		return err
	}
	if err := gw.Listen(l.Listen); err != nil {
		return listenError(l, err)
	}
	logStart(logger, l, gw.Addr())
	if err := gw.Serve(ctx); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	logger.Info("stopped")
	return nil
}

// build makes the exchange and the gateway. It opens nothing.
func build(l *config.Loaded, logger *slog.Logger) (*gateway.Gateway, error) {
	var ex gateway.Exchange = gateway.NewEmbedded()
	if len(l.Brokers()) > 0 {
		var err error
		if ex, err = amqp.New(amqpOptions(l, logger)); err != nil {
			return nil, fmt.Errorf("set up amqp: %w", err)
		}
	}
	gw, err := gateway.New(gatewayOptions(l, logger), ex)
	if err != nil {
		return nil, fmt.Errorf("set up gateway: %w", err)
	}
	return gw, nil
}

// listenError says what to do about the usual reasons.
func listenError(l *config.Loaded, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return l.Reject("listen", "a free address: it is in use; stop who listens there, or set another one here, in "+
			config.EnvName("listen")+" or with --"+config.FlagName("listen"))
	case errors.Is(err, syscall.EACCES):
		return l.Reject("listen", "a port that this user may open: 1024 or higher, or grant CAP_NET_BIND_SERVICE")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return l.Reject("listen", "an address of this machine, or :port for all of them")
	}
	return fmt.Errorf("listen on %s: %w", l.Listen, err)
}

// logStart says in a few lines what runs, and where.
func logStart(logger *slog.Logger, l *config.Loaded, addr net.Addr) {
	logger.Info("starting", "version", version(), "node", l.Node, "shards", shards, "descriptors", descriptors())
	logger.Info(origin(l))
	var brokers []string
	for _, url := range l.Brokers() {
		brokers = append(brokers, config.Redact(url))
	}
	if len(brokers) == 0 {
		logger.Info("embedded exchange: amqp.url is empty, messages stay in this process")
	} else {
		attrs := []any{"exchange", l.AMQP.Exchange, "brokers", brokers, "delivery", l.AMQP.Delivery}
		if streams(l) {
			attrs = append(attrs, "stream", l.AMQP.Stream.Name)
		}
		logger.Info("exchange in RabbitMQ", attrs...)
	}
	host := reachable(addr)
	logger.Info("listening", "address", addr.String(), "page", "http://"+host, "websocket", "ws://"+host+l.WebSocket.Path)
}

// reachable is addr as this machine's browser can open it.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
