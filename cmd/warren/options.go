package main

import (
	"log/slog"
	"time"

	"warren/amqp"
	"warren/config"
	"warren/gateway"
	"warren/gateway/admin"
	"warren/gateway/agent"
	"warren/static"
)

// streams says that messages come from a stream. There is a broker then: the
// configuration is refused otherwise.
func streams(l *config.Loaded) bool { return l.AMQP.Delivery == "stream" }

func gatewayOptions(l *config.Loaded, logger *slog.Logger) gateway.Options {
	slow := gateway.SlowClose
	if l.Clients.Slow == "skip" {
		slow = gateway.SlowSkip
	}
	onGap := gateway.GapIgnore
	if l.Clients.OnGap == "close" {
		onGap = gateway.GapClose
	}
	return gateway.Options{
		WebSocket: gateway.WebSocketOptions{
			Path:             l.WebSocket.Path,
			ReadOnly:         !l.WebSocket.Publish,
			MaxMessageSize:   int(l.WebSocket.MaxMessageSize),
			MaxDeliverSize:   int(l.DeliverSize()),
			HandshakeTimeout: l.WebSocket.HandshakeTimeout,
			PingInterval:     l.WebSocket.PingInterval,
			PongTimeout:      l.WebSocket.PongTimeout,
			Origins:          l.WebSocket.Origins,
		},
		Clients: gateway.ClientOptions{
			Max:           l.Clients.Max,
			MaxPerIP:      l.Clients.MaxPerIP,
			HandshakeRate: l.Clients.HandshakeRate,
			Capacity:      l.HAProxy.Capacity,
			MaxLag:        int(l.Clients.MaxLag),
			Slow:          slow,
			OnGap:         onGap,
			CloseTimeout:  l.Clients.CloseTimeout,
			MaxChannels:   l.Clients.MaxChannels,
		},
		Memory: gateway.MemoryOptions{
			Logs:    int64(l.Memory.Logs),
			Inbound: int64(l.Memory.Inbound),
		},
		History: gateway.HistoryOptions{
			Messages: l.History.Messages,
			Bytes:    int64(l.History.Bytes),
			Age:      l.History.Age,
		},
		Proxy: gateway.ProxyOptions{
			Protocol: l.Proxy.Protocol,
			Trusted:  l.Proxy.Trusted,
		},
		Drain: gateway.DrainOptions{
			Delay:   l.Drain.Delay,
			Period:  l.Drain.Period,
			Timeout: l.Drain.Timeout,
		},
		AwaitExchange: streams(l),

		Node:   l.Node,
		Shards: shards,
		Page:   static.Page(l.WebSocket.Path),
		Script: static.Module(),
		Logger: logger.With("component", "gateway"),
	}
}

func adminOptions(l *config.Loaded, logger *slog.Logger) admin.Options {
	return admin.Options{
		// With websocket.publish off the first may be larger: such a message
		// would be taken and given to nobody.
		MaxMessageSize: int(min(l.WebSocket.MaxMessageSize, l.DeliverSize())),
		Memory:         int64(l.Memory.Inbound),
		Logger:         logger.With("component", "admin"),
	}
}

func agentOptions(logger *slog.Logger) agent.Options {
	return agent.Options{Logger: logger.With("component", "agent")}
}

func amqpOptions(l *config.Loaded, logger *slog.Logger) amqp.Options {
	delivery := amqp.DeliverQueue
	if streams(l) {
		delivery = amqp.DeliverStream
	}
	var replay time.Duration
	if l.History.Messages > 0 {
		replay = l.History.Age
	}
	return amqp.Options{
		URLs:     l.Brokers(),
		Exchange: l.AMQP.Exchange,
		Node:     l.Node,
		Delivery: delivery,
		Stream: amqp.StreamOptions{
			Name:     l.AMQP.Stream.Name,
			MaxBytes: int64(l.AMQP.Stream.MaxBytes),
			MaxAge:   l.AMQP.Stream.MaxAge,
			Replicas: l.AMQP.Stream.Replicas,
			Replay:   replay,
		},
		ForeignIDs:     l.AMQP.Duplicates.IDs,
		ForeignAge:     l.AMQP.Duplicates.Age,
		Prefetch:       l.AMQP.Prefetch,
		MaxQueueBytes:  int64(l.AMQP.QueueBytes),
		WindowMessages: l.AMQP.Window.Messages,
		WindowBytes:    int(l.AMQP.Window.Bytes),
		ConfirmTimeout: l.AMQP.ConfirmTimeout,
		Heartbeat:      l.AMQP.Heartbeat,
		ReconnectMin:   l.AMQP.Reconnect.Min,
		ReconnectMax:   l.AMQP.Reconnect.Max,
		TLS: amqp.TLS{
			CAFile:     l.AMQP.TLS.CA,
			CertFile:   l.AMQP.TLS.Cert,
			KeyFile:    l.AMQP.TLS.Key,
			ServerName: l.AMQP.TLS.ServerName,
		},
		Logger: logger.With("component", "amqp"),
	}
}
