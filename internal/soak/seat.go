package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"warren/internal/rig"
)

// seat is a client that stays. When its node ends, and now and then by itself,
// it goes on where it was, on either node, and is judged as if it had never left.
type seat struct {
	s      *soak
	talks  bool
	chance *rand.Rand // sit's
	stay   stay       // sit's

	mu     sync.Mutex
	client *rig.Client // guarded by mu
	sender *rig.Sender // guarded by mu; nil if it doesn't talk
	talk   *rig.Talk   // guarded by mu; the sender's
	quiet  bool        // guarded by mu; sends no more, and stays
	times  int         // guarded by mu; it has resumed
	behind int         // guarded by mu; it was told of a gap and tried again
}

// gather seats the clients, and lets guests in.
func (s *soak) gather(ctx, crowd context.Context) error {
	for i := range seats {
		st := s.nodes[i%len(s.nodes)]
		c, err := rig.Join(ctx, st.Node, "/ws/"+room, rig.ClientOptions{Order: s.order})
		if err != nil {
			return err
		}
		t := &seat{s: s, talks: i < talkers, chance: s.chance(i), client: c, stay: st.enter()}
		s.seats = append(s.seats, t)
		s.crowd.Go(func() error {
			t.sit(crowd)
			return nil
		})
	}
	for i := range guests {
		chance := s.chance(seats + i)
		s.crowd.Go(func() error {
			s.visit(crowd, chance)
			return nil
		})
	}
	return nil
}

// chance is the i-th client's own.
func (s *soak) chance(i int) *rand.Rand { return rand.New(rand.NewPCG(s.o.seed, uint64(i+1))) }

// mostSitting is how long a client stays on one node.
const mostSitting = time.Minute

// sit listens until the last word, or until ctx ends.
func (t *seat) sit(ctx context.Context) {
	for {
		c := t.current()
		talk := t.speak(c)
		moves := t.listen(ctx, c)
		sent := talk.Stop()
		if c.Err() == nil || ctx.Err() != nil {
			t.stay.leave()
			c.Close()
			return
		}
		if err := t.leave(c, moves, sent); err != nil {
			t.s.fail(err)
			return
		}
		if !t.resume(ctx, c) {
			return
		}
	}
}

// listen returns when the connection has ended, at last by ctx, or because the
// client moves.
func (t *seat) listen(ctx context.Context, c *rig.Client) (moves bool) {
	restless := time.NewTimer(time.Duration(t.chance.Int64N(int64(mostSitting))))
	defer restless.Stop()
	for {
		select {
		case <-c.Done():
			return false
		case <-ctx.Done():
			c.Close()
			return false
		case <-restless.C:
			if t.rise() {
				c.Close()
				return true
			}
		}
	}
}

// rise says whether the client may move. What it sent last is lost then.
func (t *seat) rise() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.quiet {
		return false
	}
	t.muteLocked()
	return true
}

// muteLocked says that what the client sent last may be lost.
func (t *seat) muteLocked() {
	if t.sender != nil {
		t.s.sources.lost(t.sender)
		t.sender = nil
	}
}

func (t *seat) current() *rig.Client {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.client
}

// speak lets the client send, if it is one that talks.
func (t *seat) speak(c *rig.Client) *rig.Talk {
	t.mu.Lock()
	defer t.mu.Unlock()
	var senders []*rig.Sender
	if t.talks && !t.quiet {
		t.sender = rig.NewSender(c, t.s.sources.next())
		t.s.sources.add(t.sender)
		senders = append(senders, t.sender)
	}
	t.talk = rig.NewTalk(senders, pace)
	return t.talk
}

// hush ends the sending, and the moving.
func (t *seat) hush() {
	t.mu.Lock()
	t.quiet = true
	talk := t.talk
	t.mu.Unlock()
	_ = talk.Stop() // what kept it from sending ends the listening, too
}

// leave ends a connection that the client has ended, if it moves, or the node,
// which it may only if it was ended itself.
func (t *seat) leave(c *rig.Client, moves bool, sent error) error {
	defer c.Close()
	switch excused := t.stay.leave(); {
	case moves:
		return nil
	case !excused:
		return fmt.Errorf("%s was cut off for no reason: %w", c.Who, c.Err())
	}
	if closed := (*rig.ClosedError)(nil); errors.As(c.Err(), &closed) {
		return errors.Join(sent, c.Leave(rig.Restarts))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.muteLocked()
	return nil
}

// resume goes on where c was cut off. A node that doesn't have the message yet,
// because its own link has failed, says that there is a gap; but that must pass
// when the link is back.
func (t *seat) resume(ctx context.Context, c *rig.Client) bool {
	began := time.Now()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for i := t.chance.IntN(2); ; i++ {
		st := t.s.nodes[i%len(t.s.nodes)]
		stay := st.enter()
		next, err := rig.Resume(ctx, c, st.Node, "/ws/"+room, t.s.ids, rig.ClientOptions{})
		if err == nil {
			t.stay = stay
			t.mu.Lock()
			t.client = next
			t.times++
			t.mu.Unlock()
			return true
		}
		stay.leave()
		if gap := (*rig.GapError)(nil); errors.As(err, &gap) {
			if time.Since(began) > recoveryLimit/2 {
				t.s.fail(err)
				return false
			}
			t.mu.Lock()
			t.behind++
			t.mu.Unlock()
		}
		select {
		case <-again.C: // the node isn't there, or not ready
		case <-ctx.Done():
			return false
		}
	}
}

// awaitNew waits until everyone who sits is connected, and has heard new messages
// of everyone who talks.
func (s *soak) awaitNew(ctx context.Context) error {
	if err := rig.Await(ctx, s.seated); err != nil {
		return err
	}
	const count = 20
	talking := s.talking()
	until := map[rig.Source]int{}
	for _, source := range talking {
		until[source] = source.Mark() + count - 1
	}
	return rig.Await(ctx, func() error {
		still := s.talking() // some may have moved since
		for source, number := range until {
			if !slices.Contains(still, source) {
				continue
			}
			for _, t := range s.seats {
				if c := t.current(); c.Last(source.ID()) < number {
					return fmt.Errorf("%s waits for message %d of source %d, the latest is %d", c.Who, number, source.ID(), c.Last(source.ID()))
				}
			}
		}
		return nil
	})
}

// talking is everyone who sends.
func (s *soak) talking() []rig.Source {
	all := []rig.Source{s.program}
	for _, t := range s.seats {
		t.mu.Lock()
		if t.sender != nil {
			all = append(all, t.sender)
		}
		t.mu.Unlock()
	}
	return all
}

func (s *soak) seated() error {
	for _, t := range s.seats {
		t.mu.Lock()
		c, sender := t.client, t.sender
		t.mu.Unlock()
		select {
		case <-c.Done():
			return fmt.Errorf("%s was cut off and is not back", c.Who)
		default:
		}
		if t.talks && (sender == nil || sender.Client != c) {
			return fmt.Errorf("%s doesn't talk yet", c.Who)
		}
	}
	return nil
}
