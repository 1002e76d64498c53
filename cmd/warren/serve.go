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
	"warren/gateway/admin"
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
		return listenError(l, "listen", l.Listen, err)
	}
	// While the gateway drains, the admin listener still says so.
	adm, err := listenAdmin(l, logger, gw)
	if err != nil {
		return err
	}
	logStart(logger, l, gw.Addr(), adm)
	if err := serveBoth(ctx, gw, adm); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	logger.Info("stopped")
	return nil
}

// listenAdmin opens the admin listener; nil if there is none.
func listenAdmin(l *config.Loaded, logger *slog.Logger, gw *gateway.Gateway) (*admin.Server, error) {
	if l.Admin.Listen == "" {
		return nil, nil
	}
	adm := admin.New(adminOptions(l, logger), gw)
	if err := adm.Listen(l.Admin.Listen); err != nil {
		return nil, listenError(l, "admin.listen", l.Admin.Listen, err)
	}
	return adm, nil
}

// serveBoth runs the gateway until ctx ends, and around it the admin listener,
// if there is one: it still answers while the gateway drains. If one fails, the
// other stops.
func serveBoth(ctx context.Context, gw *gateway.Gateway, adm *admin.Server) error {
	if adm == nil {
		return gw.Serve(ctx)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	admCtx, stopAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAdmin()
	failed := make(chan error, 1)
	go func() {
		err := adm.Serve(admCtx)
		stop()
		failed <- err
	}()
	err := gw.Serve(ctx)
	stopAdmin()
	return errors.Join(err, <-failed)
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
		return l.Reject(key, "a free address: it is in use; stop who listens there, or set another one here, in "+
			config.EnvName(key)+" or with --"+config.FlagName(key))
	case errors.Is(err, syscall.EACCES):
		return l.Reject(key, "a port that this user may open: 1024 or higher, or grant CAP_NET_BIND_SERVICE")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return l.Reject(key, "an address of this machine, or :port for all of them")
	}
	return fmt.Errorf("%s: listen on %s: %w", key, addr, err)
}

// logStart says in a few lines what runs, and where.
func logStart(logger *slog.Logger, l *config.Loaded, addr net.Addr, adm *admin.Server) {
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
	if adm != nil {
		logger.Info("publishing over HTTP", "url", "http://"+reachable(adm.Addr())+"/publish/")
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
