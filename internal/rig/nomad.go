package rig

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Nomad is a client of the JSON protocol. When its connection ends it comes back
// at once, behind the last message it heard, and is judged as if it had never left.
type Nomad struct {
	Name string

	camp  *Camp
	talks bool
	done  chan struct{}
	err   error // why it stays away, nil after LastWord; set before done is closed

	mu     sync.Mutex
	client *Client // guarded by mu; the latest
	moves  []Move  // guarded by mu; the last may not be over
}

// Move is how a nomad came from one connection to the next.
type Move struct {
	Why     error     // the ClosedError, or what else ended the connection
	Told    time.Time // then
	Back    time.Time // the new one's 101; zero if there never was one
	Refused []error   // attempts in vain
}

// Took is how long the nomad was away.
func (m Move) Took() time.Duration { return m.Back.Sub(m.Told) }

// roam listens until the last word, over as many connections as it takes.
func (n *Nomad) roam(client *Client) {
	defer close(n.done)
	for {
		cut := context.AfterFunc(n.camp.ctx, func() { client.conn.Close() })
		talk := n.camp.speak(n, client)
		client.Listen()
		m := Move{Why: client.err, Told: time.Now()}
		sent := n.camp.silence(talk)
		closed := (*ClosedError)(nil)
		if errors.As(m.Why, &closed) {
			n.err = errors.Join(sent, client.Leave(closed.Code))
		}
		cut()
		client.Close()
		switch {
		case m.Why == nil || n.err != nil:
			return
		case n.camp.ctx.Err() != nil:
			n.err = n.camp.ctx.Err()
			return
		}
		client = n.comeBack(client, m)
		if client == nil {
			return
		}
	}
}

// again is between two attempts of a nomad to connect.
const again = 100 * time.Millisecond

// comeBack connects anew; nil if the camp is closed meanwhile.
func (n *Nomad) comeBack(after *Client, m Move) *Client {
	pause := time.NewTimer(again)
	defer pause.Stop()
	n.note(m, nil)
	for {
		client, err := n.dial(after)
		if err == nil {
			m.Back = time.Now()
			n.note(m, client)
			return client
		}
		m.Refused = append(m.Refused, err)
		n.note(m, nil)
		pause.Reset(again)
		select {
		case <-pause.C:
		case <-n.camp.ctx.Done():
			n.err = n.camp.ctx.Err()
			return nil
		}
	}
}

func (n *Nomad) dial(after *Client) (*Client, error) {
	ctx, cancel := context.WithTimeout(n.camp.ctx, getTimeout)
	defer cancel()
	o := n.camp.o
	return dial(ctx, o.Addr, "the proxy", "/ws/"+o.Channel+"?since="+after.typed.id, ClientOptions{JSON: true, TLS: o.TLS, After: after, Limit: o.Limit})
}

// note keeps how the latest move goes. With client it is over.
func (n *Nomad) note(m Move, client *Client) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last := len(n.moves) - 1; last >= 0 && n.moves[last].Told.Equal(m.Told) {
		n.moves[last] = m
	} else {
		n.moves = append(n.moves, m)
	}
	if client != nil {
		n.client = client
	}
}

// Current is the nomad's latest connection.
func (n *Nomad) Current() *Client {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.client
}

// Moves are all so far, in their order.
func (n *Nomad) Moves() []Move {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Move(nil), n.moves...)
}

// Home is the name of the node that the nomad is on; empty while it is on its way.
func (n *Nomad) Home() string {
	c := n.Current()
	select {
	case <-c.done:
		return ""
	default:
	}
	select {
	case <-c.typed.subscribed:
		return c.typed.node
	default:
		return ""
	}
}

// Lacks is nil once the nomad has heard a message of a source numbered so or
// later. It may wait for that, unless it stays away.
func (n *Nomad) Lacks(s Source, number int) error {
	c := n.Current()
	if number < 0 || c.Last(s.ID()) >= number {
		return nil
	}
	err := fmt.Errorf("%s, %s, has %d messages of source %d and waits for number %d", n.Name, c.Who, c.Count(s.ID()), s.ID(), number)
	select {
	case <-n.done:
		return Never(fmt.Errorf("%w: it stays away: %w", err, n.err))
	default:
		return err
	}
}

// Wait waits until the nomad has heard the last word; or else the error says
// why it stays away.
func (n *Nomad) Wait() error {
	<-n.done
	return n.err
}
