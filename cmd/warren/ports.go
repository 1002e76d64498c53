package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"warren/config"
	"warren/gateway"
	"warren/gateway/admin"
	"warren/gateway/agent"
)

// ports is all that a node listens with. admin and agent are nil if there is
// none.
type ports struct {
	gateway *gateway.Gateway
	admin   *admin.Server
	agent   *agent.Server

	passed []string // names of sockets of the service manager among them
}

// listener is what can be made to listen, and then serve.
type listener interface {
	Listen(addr string) error
	Adopt(l net.Listener) error
}

// open opens every port, on the socket passed for it or else on the configured
// address.
func open(l *config.Loaded, logger *slog.Logger, gw *gateway.Gateway, passed sockets) (*ports, error) {
	p := &ports{gateway: gw}
	if err := p.listen(l, gw, gatewaySocket, "listen", l.Listen, passed); err != nil {
		return nil, err
	}
	if l.Admin.Listen != "" || passed[adminSocket] != nil {
		p.admin = admin.New(adminOptions(l, logger), gw)
		if err := p.listen(l, p.admin, adminSocket, "admin.listen", l.Admin.Listen, passed); err != nil {
			return nil, err
		}
	}
	if l.HAProxy.AgentListen != "" || passed[agentSocket] != nil {
		p.agent = agent.New(agentOptions(logger), gw)
		if err := p.listen(l, p.agent, agentSocket, "haproxy.agent_listen", l.HAProxy.AgentListen, passed); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// listen lets who listen on the socket passed by that name, or else on addr,
// the value of key.
func (p *ports) listen(l *config.Loaded, who listener, name, key, addr string, passed sockets) error {
	if socket := passed.take(name); socket != nil {
		p.passed = append(p.passed, name)
		return who.Adopt(socket)
	}
	if err := who.Listen(addr); err != nil {
		return listenError(l, key, addr, err)
	}
	return nil
}

// serve runs the gateway until ctx ends, and as long as that takes the other
// servers: they answer while it drains, too. If one fails, all stop. m may be nil.
func (p *ports) serve(ctx context.Context, m *manager) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()

	var others []func(context.Context) error
	if p.admin != nil {
		others = append(others, p.admin.Serve)
	}
	if p.agent != nil {
		others = append(others, p.agent.Serve)
	}
	if m != nil {
		others = append(others, func(serving context.Context) error {
			m.run(ctx, serving)
			return nil
		})
	}
	ended := make(chan error)
	for _, serve := range others {
		go func() {
			err := serve(serving)
			stop()
			ended <- err
		}()
	}
	errs := []error{p.gateway.Serve(ctx)}
	end()
	for range others {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}
