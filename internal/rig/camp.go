package rig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Camp is nomads who hear one channel by way of a proxy, and each other.
type Camp struct {
	Order  *Order
	Nomads []*Nomad

	// Static after Settle.
	o    CampOptions
	kill context.CancelFunc
	ctx  context.Context // ended by kill

	mu      sync.Mutex
	sources []Source       // guarded by mu; whoever talked, each of their connections by itself
	quiet   bool           // guarded by mu; nobody begins to talk
	talks   map[*Talk]bool // guarded by mu; those under way
}

// CampOptions says who camps, and where.
type CampOptions struct {
	Addr    string      // of the proxy
	TLS     *tls.Config // nil if it has none
	Channel string
	Nomads  int
	Talkers int           // of these
	Pace    time.Duration // between two messages of a talker
	First   int           // the talkers' ids as sources count from there
	Limit   time.Duration // of each connection
}

// Settle connects the nomads, some at a time, and returns once all are
// subscribed. Close ends them.
func Settle(ctx context.Context, o CampOptions) (*Camp, error) {
	c := &Camp{Order: NewOrder(), o: o, talks: map[*Talk]bool{}}
	c.ctx, c.kill = context.WithCancel(context.Background())
	clients, err := several(o.Nomads, func() (*Client, error) {
		return dial(ctx, o.Addr, "the proxy", "/ws/"+o.Channel, ClientOptions{JSON: true, TLS: o.TLS, Order: c.Order, Limit: o.Limit})
	})
	if err != nil {
		return nil, err
	}
	for i, client := range clients {
		n := &Nomad{Name: fmt.Sprint("nomad ", i), camp: c, talks: i < o.Talkers, client: client, done: make(chan struct{})}
		c.Nomads = append(c.Nomads, n)
		go n.roam(client)
	}
	for _, n := range c.Nomads {
		select {
		case <-n.Current().typed.subscribed:
		case <-n.done:
			err = errors.Join(err, n.err)
		case <-ctx.Done():
			err = errors.Join(err, ctx.Err())
		}
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("settling nomads: %w", err)
	}
	return c, nil
}

// Close cuts all nomads off, and waits for them.
func (c *Camp) Close() {
	c.kill()
	for _, n := range c.Nomads {
		<-n.done
	}
}

// Sources are all who talked: each connection by itself, since what is said on
// one may be published after what is said on the next.
func (c *Camp) Sources() []Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Source(nil), c.sources...)
}

// Hush ends the talking.
func (c *Camp) Hush() (err error) {
	c.mu.Lock()
	c.quiet = true
	var talks []*Talk
	for t := range c.talks {
		talks = append(talks, t)
	}
	c.mu.Unlock()
	for _, t := range talks {
		err = errors.Join(err, t.Stop())
	}
	return err
}

// speak lets a talker send over a connection.
func (c *Camp) speak(n *Nomad, client *Client) *Talk {
	c.mu.Lock()
	defer c.mu.Unlock()
	var senders []*Sender
	if n.talks && !c.quiet {
		s := NewSender(client, c.o.First+len(c.sources))
		c.sources = append(c.sources, s)
		senders = append(senders, s)
	}
	t := NewTalk(senders, c.o.Pace)
	c.talks[t] = true
	return t
}

// silence ends a talk.
func (c *Camp) silence(t *Talk) error {
	err := t.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.talks, t)
	return err
}
