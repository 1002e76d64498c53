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
	passed, err := takeSockets()
	if err != nil {
		return err
	}
	defer passed.close()
	gw, err := build(l, logger)
	if err != nil {
		return err
	}
	p, err := open(l, logger, gw, passed)
	if err != nil {
		return err
	}
	m, err := newManager(gw, l.Drain.Timeout, logger)
	if err != nil {
		return err
	}
	logStart(logger, l, p)
	if err := p.serve(ctx, m); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	logger.Info("stopped")
	return nil
}

// build makes the exchange and the gateway. It opens nothing.
func build(l *config.Loaded, logger *slog.Logger) (*gateway.Gateway, error) {
	ex, err := exchange(l, logger)
	if err != nil {
		return nil, err
	}
	gw, err := gateway.New(gatewayOptions(l, logger), ex)
	if err != nil {
		return nil, fmt.Errorf("set up gateway: %w", err)
	}
	return gw, nil
}

// exchange is that of the brokers, or if there are none, the embedded one.
func exchange(l *config.Loaded, logger *slog.Logger) (gateway.Exchange, error) {
	if len(l.Brokers()) == 0 {
		ex := gateway.NewEmbedded()
		if l.Node != "" { // it has none yet when it is only checked
			ex.Node = l.Node
		}
		return ex, nil
	}
	ex, err := amqp.New(amqpOptions(l, logger))
	if err != nil {
		return nil, fmt.Errorf("set up amqp: %w", err)
	}
	return ex, nil
}

// listenError says what to do about the usual reasons why addr, the value of
// key, can't be listened on.
func listenError(l *config.Loaded, key, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		ways := "here or in " + config.EnvName(key)
		if hasFlag(key) {
			ways = "here, in " + config.EnvName(key) + " or with --" + config.FlagName(key)
		}
		return l.Reject(key, "a free address: it is in use; stop who listens there, or set another one "+ways)
	case errors.Is(err, syscall.EACCES):
		return l.Reject(key, "a port that this user may open: 1024 or higher, or grant CAP_NET_BIND_SERVICE")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return l.Reject(key, "an address of this machine, or :port for all of them")
	}
	return fmt.Errorf("%s: listen on %s: %w", key, addr, err)
}

// logStart says in a few lines what runs, and where.
func logStart(logger *slog.Logger, l *config.Loaded, p *ports) {
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
	if len(p.passed) > 0 {
		logger.Info("sockets of the service manager are used in place of configured addresses", "sockets", p.passed)
	}
	if p.admin != nil {
		logger.Info("publishing over HTTP", "url", "http://"+reachable(p.admin.Addr())+"/publish/")
	}
	if p.agent != nil {
		logger.Info("answering HAProxy's agent check", "address", p.agent.Addr().String())
	}
	host := reachable(p.gateway.Addr())
	attrs := []any{"address", p.gateway.Addr().String()}
	if l.Proxy.Protocol {
		// No browser can open it.
		attrs = append(attrs, "proxy_protocol", true)
	} else {
		attrs = append(attrs, "page", "http://"+host, "websocket", "ws://"+host+l.WebSocket.Path)
	}
	logger.Info("listening", attrs...)
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
