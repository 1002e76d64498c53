package main

import (
	"context"
	"sync/atomic"

	"warren/internal/rig"
)

// station is a node that may be ended and started again.
type station struct {
	*rig.Node
	clients atomic.Int64 // that the soak has there

	// ends is odd while the node sends its clients away: from before it is
	// ended until it is started again, or while it is drained.
	ends atomic.Int64
}

func (s *soak) startStation(ctx context.Context, programs rig.Programs, name string) (*station, error) {
	url, err := s.link(name)
	if err != nil {
		return nil, err
	}
	n, err := rig.NewNode(rig.NodeOptions{
		Binary: programs.Warren, Dir: s.dir, Name: name, Config: config,
		Env: []string{"WARREN_AMQP_URL=" + url, "WARREN_AMQP_EXCHANGE=" + exchange, "WARREN_AMQP_STREAM_NAME=" + stream},
	})
	if err != nil {
		return nil, err
	}
	st := &station{Node: n}
	if err := n.Start(ctx); err != nil {
		return st, err
	}
	return st, n.AwaitReady(ctx)
}

// ending runs do, which ends the node, and starts it again.
func (st *station) ending(ctx context.Context, do func() error) error {
	return st.dismissing(func() error {
		if err := do(); err != nil {
			return err
		}
		return st.Start(ctx)
	})
}

// dismissing runs do, while which clients may be sent away.
func (st *station) dismissing(do func() error) error {
	st.ends.Add(1)
	defer st.ends.Add(1)
	return do()
}

// stay is a time that a client spends on a node.
type stay struct {
	*station
	since int64 // its ends at the beginning
}

func (st *station) enter() stay {
	st.clients.Add(1)
	return stay{st, st.ends.Load()}
}

// leave ends the stay. excused says that the node sent its clients away meanwhile.
func (y stay) leave() (excused bool) {
	y.clients.Add(-1)
	return y.since%2 == 1 || y.ends.Load() != y.since
}
