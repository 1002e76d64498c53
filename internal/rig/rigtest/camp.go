package rigtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"warren/amqp/amqptest"
	"warren/internal/rig"
)

// Camp is a rig.Camp for the length of a test, and an AMQP program that they
// all hear.
type Camp struct {
	*rig.Camp
	Program *rig.Program

	t testing.TB
	b *amqptest.Server
}

// NewCamp settles nomads at addr, a proxy's, in Room; every is between two messages
// of the program.
func NewCamp(t testing.TB, b *amqptest.Server, addr string, every time.Duration, o rig.CampOptions) *Camp {
	t.Helper()
	ctx, cancel := Context(t)
	defer cancel()
	o.Addr, o.Channel, o.First, o.Limit = addr, Room, 1, connectionLimit
	camp, err := rig.Settle(ctx, o)
	Check(t, err)
	t.Cleanup(camp.Close)
	program := rig.StartProgram(rig.ProgramOptions{
		URLs: []string{b.URL()}, Exchange: Exchange(t), Stream: Stream(t), Channel: Room, Every: every,
	})
	t.Cleanup(program.Cut)
	return &Camp{camp, program, t, b}
}

// AwaitNew waits until so many messages of the program that begin to be sent
// after the call have reached every nomad.
func (c *Camp) AwaitNew(count int) {
	c.t.Helper()
	c.awaitNumber(c.Program, c.Program.Mark()+count-1)
}

func (c *Camp) awaitNumber(s rig.Source, number int) {
	c.t.Helper()
	at := 0 // those before have got theirs
	Await(c.t, func() error {
		for ; at < len(c.Nomads); at++ {
			if err := c.Nomads[at].Lacks(s, number); err != nil {
				return err
			}
		}
		return nil
	})
}

// On is how many nomads are on a node.
func (c *Camp) On(n *Node) (count int) {
	for _, nomad := range c.Nomads {
		if nomad.Home() == n.Name {
			count++
		}
	}
	return count
}

// AwaitOn waits until exactly so many nomads are on a node, and none on their
// way.
func (c *Camp) AwaitOn(n *Node, count int) {
	c.t.Helper()
	Await(c.t, func() error {
		here := 0
		for _, nomad := range c.Nomads {
			switch nomad.Home() {
			case "":
				return fmt.Errorf("%s is on its way: %+v", nomad.Name, nomad.Moves())
			case n.Name:
				here++
			}
		}
		if here != count {
			return fmt.Errorf("%d nomads are on %s, not %d", here, n.Name, count)
		}
		return nil
	})
}

// End ends the talking and the camp, and checks that every nomad has heard
// everything once, in one order.
func (c *Camp) End() {
	c.t.Helper()
	if err := c.Hush(); err != nil {
		c.t.Error(err)
	}
	ctx, cancel := Context(c.t)
	defer cancel()
	Check(c.t, c.Program.Stop(ctx))
	sources := append(c.Sources(), c.Program)
	for _, s := range sources {
		c.awaitNumber(s, s.Mark()-1)
	}
	Say(c.t, c.b.URL(), Room, rig.LastWord)
	var clients []*rig.Client
	for _, n := range c.Nomads {
		if err := n.Wait(); err != nil {
			c.t.Errorf("%s stays away: %v", n.Name, err)
		}
		clients = append(clients, n.Current())
	}
	Dismissed(c.t, clients)
	WantAll(c.t, clients, sources)
}

// Moves are all moves of the nomads, by the time at which they were told.
func (c *Camp) Moves() (all []rig.Move) {
	for _, n := range c.Nomads {
		all = append(all, n.Moves()...)
	}
	slices.SortFunc(all, func(a, b rig.Move) int { return a.Told.Compare(b.Told) })
	return all
}

// WantTold checks that each move began with a close frame that says so.
func WantTold(t testing.TB, moves []rig.Move, code ws.StatusCode, reason string) {
	t.Helper()
	wrong, last := 0, error(nil)
	for _, m := range moves {
		if closed := (*rig.ClosedError)(nil); !errors.As(m.Why, &closed) || closed.Code != code || closed.Reason != reason {
			wrong++
			last = m.Why
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d moves didn't begin with a close frame of %d %q; the last of them: %v", wrong, len(moves), code, reason, last)
	}
}

// WantTaken checks that every nomad was let in at its first attempt.
func WantTaken(t testing.TB, moves []rig.Move) {
	t.Helper()
	count, last := 0, error(nil)
	for _, m := range moves {
		count += len(m.Refused)
		for _, err := range m.Refused {
			last = err
		}
	}
	if count > 0 {
		t.Errorf("%d handshakes of %d moves were refused; the last: %v", count, len(moves), last)
	}
}

// WantSoon checks that no nomad was away for longer than limit, and than a slow
// machine needs: a move is some five questions and answers.
func WantSoon(t testing.TB, moves []rig.Move, limit time.Duration, machine *Pulse) {
	t.Helper()
	if len(moves) == 0 {
		t.Error("nobody moved")
		return
	}
	var took []time.Duration
	for _, m := range moves {
		took = append(took, m.Took().Round(time.Millisecond))
	}
	slices.Sort(took)
	slowest, longest := machine.Slowest().Round(time.Millisecond), took[len(took)-1]
	t.Logf("%d moves took %v at the median, %v at the 99th percentile, %v at most; a question to HAProxy took %v at most",
		len(took), took[len(took)/2], took[(len(took)-1)*99/100], longest, slowest)
	if longest > limit+RoundTrips*slowest {
		t.Errorf("a move took %v, of %v that it may on a machine that takes %v for a question to HAProxy", longest, limit, slowest)
	}
}

// RoundTrips is how many questions and answers a move takes: a close frame and the
// end behind it, a connection and a handshake, each by way of a proxy.
const RoundTrips = 5
