package amqptest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Cluster is nodes that share exchanges, users and streams. Each can be killed
// and started again, with its data and on its ports, in any order. After all
// of them were down they wait for each other: start them side by side.
type Cluster struct {
	Nodes []*Server

	dir  string
	epmd *epmd
}

// StartCluster runs n new nodes below dir, as Start does, and returns once each
// of them answers. With three it needs some 10 to 20 s. Close ends it.
func StartCluster(ctx context.Context, dir string, n int, o Options) (*Cluster, error) {
	home, err := os.MkdirTemp(dir, "rabbitmq-cluster-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for RabbitMQ: %w", err)
	}
	c := &Cluster{dir: home}
	if err := c.start(ctx, n, o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, n int, o Options) (err error) {
	if c.epmd, err = startEpmd(c.dir); err != nil {
		return err
	}
	for range n {
		s, err := newServer(c.dir)
		if err != nil {
			return err
		}
		s.epmd = c.epmd
		c.Nodes = append(c.Nodes, s)
	}
	o.Config += c.formation()
	for _, s := range c.Nodes {
		if err := s.setUp(o); err != nil {
			return err
		}
	}
	starting, ctx := errgroup.WithContext(ctx)
	for _, s := range c.Nodes {
		starting.Go(func() error { return s.Start(ctx) })
	}
	return starting.Wait()
}

// formation has the nodes find each other at their first start.
func (c *Cluster) formation() string {
	var b strings.Builder
	b.WriteString("cluster_formation.peer_discovery_backend = classic_config\n")
	for i, s := range c.Nodes {
		fmt.Fprintf(&b, "cluster_formation.classic_config.nodes.%d = %s\n", i+1, s.node)
	}
	// How long a node that starts waits for the others' tables before it looks
	// again; by default 30 s, ten times.
	b.WriteString("mnesia_table_loading_retry_timeout = 5000\nmnesia_table_loading_retry_limit = 60\n")
	return b.String()
}

// URLs are the nodes' own, with user and password.
func (c *Cluster) URLs() (all []string) {
	for _, s := range c.Nodes {
		all = append(all, s.URL())
	}
	return all
}

// Close kills all nodes and removes their folders. It can be called twice.
func (c *Cluster) Close() error {
	var err error
	for _, s := range c.Nodes {
		err = errors.Join(err, s.Close())
	}
	if c.epmd != nil {
		err = errors.Join(err, c.epmd.close())
		c.epmd = nil
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}
