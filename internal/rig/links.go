package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"syscall"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"

	"warren/internal/child"
	"warren/internal/port"
)

// Links are connections to RabbitMQ that can be made to fail, through one
// toxiproxy (see internal/faultylinks).
type Links struct {
	All []*Link

	log     *Log
	api     port.Port
	client  *toxiproxy.Client
	process *child.Process
}

// Link stands between one program and one RabbitMQ.
type Link struct {
	Name string

	port  port.Port
	proxy *toxiproxy.Proxy
}

// StartLinks runs internal/faultylinks, without a link yet. Close ends it.
func StartLinks(ctx context.Context, p Programs) (*Links, error) {
	api, err := port.Reserve()
	if err != nil {
		return nil, err
	}
	l := &Links{log: &Log{}, api: api, client: toxiproxy.NewClient(api.Addr())}
	cmd := exec.Command(p.FaultyLinks, api.Addr())
	cmd.Env = os.Environ()
	cmd.Stdout, cmd.Stderr = l.log, l.log
	if l.process, err = child.Start(cmd); err != nil {
		api.Release()
		return nil, err
	}
	err = Await(ctx, func() error {
		select {
		case <-l.process.Done():
			return Never(fmt.Errorf("toxiproxy ended: %w: %s", l.process.Err(), l.log))
		default:
		}
		_, err := l.client.Proxies()
		return err
	})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Add makes a link to addr.
func (l *Links) Add(name, addr string) (*Link, error) {
	p, err := port.Reserve()
	if err != nil {
		return nil, err
	}
	link := &Link{Name: name, port: p}
	l.All = append(l.All, link)
	if link.proxy, err = l.client.CreateProxy(name, p.Addr(), addr); err != nil {
		return nil, fmt.Errorf("making a link to %s: %w", addr, err)
	}
	return link, nil
}

// Addr is where the link begins, "127.0.0.1:port".
func (l *Link) Addr() string { return l.port.Addr() }

// URL is an AMQP URL by way of the link.
func (l *Link) URL(amqpURL string) (string, error) {
	u, err := url.Parse(amqpURL)
	if err != nil {
		return "", err
	}
	u.Host = l.port.Addr()
	return u.String(), nil
}

// Log is what toxiproxy printed.
func (l *Links) Log() string { return l.log.String() }

// Close ends all links.
func (l *Links) Close() error {
	err := l.process.Stop(syscall.SIGKILL, getTimeout) // it would wait for its links
	l.api.Release()
	for _, link := range l.All {
		link.port.Release()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections() // those of the toxiproxy client
	return err
}

// Cut closes all connections, and refuses new ones until Mend.
func (l *Link) Cut() error { return l.proxy.Disable() }

// Mend undoes Cut, and everything that Harm did.
func (l *Link) Mend() error {
	toxics, err := l.proxy.Toxics()
	for _, t := range toxics {
		err = errors.Join(err, l.proxy.RemoveToxic(t.Name))
	}
	if !l.proxy.Enabled {
		err = errors.Join(err, l.proxy.Enable())
	}
	return err
}

// Direction is a way through a link.
type Direction string

// Directions.
const (
	ToRabbit   Direction = "upstream"
	FromRabbit Direction = "downstream"
)

// Attributes are a toxic's, by toxiproxy's names.
type Attributes = toxiproxy.Attributes

// Harm adds a toxic, of toxiproxy's types.
func (l *Link) Harm(toxic string, way Direction, a Attributes) error {
	_, err := l.proxy.AddToxic("", toxic, string(way), 1, a)
	return err
}
