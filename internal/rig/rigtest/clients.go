package rigtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"warren/amqp/amqptest"
	"warren/internal/rig"
)

// connectionLimit is how long a client's connection may take: a test that hangs
// on one fails by it.
const connectionLimit = 9 * time.Minute

// Open connects a client that nobody reads for.
func Open(t testing.TB, n *Node, path string, o rig.ClientOptions) *rig.Client {
	t.Helper()
	return connect(t, o, func(o rig.ClientOptions) ([]*rig.Client, error) {
		ctx, cancel := Context(t)
		defer cancel()
		c, err := rig.Open(ctx, n.Node, path, o)
		return []*rig.Client{c}, err
	})[0]
}

// Join connects a client that notes what it hears until rig.LastWord, or until
// the connection ends. The end of the test waits for it.
func Join(t testing.TB, n *Node, path string) *rig.Client {
	t.Helper()
	return JoinMany(t, n, path, 1, rig.ClientOptions{})[0]
}

// JoinMany connects so many.
func JoinMany(t testing.TB, n *Node, path string, count int, o rig.ClientOptions) []*rig.Client {
	t.Helper()
	return connect(t, o, func(o rig.ClientOptions) ([]*rig.Client, error) {
		ctx, cancel := Context(t)
		defer cancel()
		return rig.JoinMany(ctx, n.Node, path, count, o)
	})
}

func connect(t testing.TB, o rig.ClientOptions, do func(rig.ClientOptions) ([]*rig.Client, error)) []*rig.Client {
	t.Helper()
	o.Limit = connectionLimit
	clients, err := do(o)
	Check(t, err)
	t.Cleanup(func() {
		for _, c := range clients {
			c.Close()
		}
	})
	return clients
}

// Talk is rig.NewTalk for the length of the test.
func Talk(t testing.TB, senders []*rig.Sender, every time.Duration) *rig.Talk {
	talk := rig.NewTalk(senders, every)
	t.Cleanup(talk.Cut)
	return talk
}

// Left waits for the server's close frame, answers it, and wants an orderly end.
func Left(t testing.TB, c *rig.Client, code ws.StatusCode) {
	t.Helper()
	if err := c.Leave(code); err != nil {
		t.Error(err)
	}
}

// Marks are the marks of all.
func Marks[S rig.Source](sources []S) (m []int) {
	for _, s := range sources {
		m = append(m, s.Mark())
	}
	return m
}

// Repeat is the same count for each of the sources.
func Repeat[S rig.Source](count int, sources []S) []int {
	return slices.Repeat([]int{count}, len(sources))
}

// AwaitNumbers waits until each client has got a message of each source
// numbered until or later.
func AwaitNumbers[S rig.Source](t testing.TB, clients []*rig.Client, sources []S, until []int) {
	t.Helper()
	at := 0 // those before have got theirs
	Await(t, func() error {
		for ; at < len(clients); at++ {
			for i, s := range sources {
				if err := reached(clients[at], s, until[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func reached(c *rig.Client, s rig.Source, until int) error {
	if until < 0 || c.Last(s.ID()) >= until {
		return nil
	}
	err := fmt.Errorf("%s has %d messages of source %d and waits for number %d", c.Who, c.Count(s.ID()), s.ID(), until)
	select {
	case <-c.Done():
		if c.Last(s.ID()) < until { // it may just have come
			return rig.Never(fmt.Errorf("%w: its connection ended: %w", err, c.Err()))
		}
		return nil
	default:
		return err
	}
}

// AwaitLast waits until each client has the last message of each source.
func AwaitLast[S rig.Source](t testing.TB, clients []*rig.Client, sources []S) {
	t.Helper()
	last := Marks(sources)
	for i := range last {
		last[i]--
	}
	AwaitNumbers(t, clients, sources, last)
}

// Dismissed waits for clients who were told rig.LastWord.
func Dismissed(t testing.TB, clients []*rig.Client) {
	t.Helper()
	for _, c := range clients {
		<-c.Done()
		if err := c.Err(); err != nil {
			t.Errorf("%s was cut off: %v", c.Who, err)
		}
		if err := c.OutOfOrder(); err != nil {
			t.Error(err)
		}
	}
}

// WantAll checks that every message of the sources came to all clients, once
// and in order.
func WantAll[S rig.Source](t testing.TB, clients []*rig.Client, sources []S) {
	t.Helper()
	for _, c := range clients {
		for _, s := range sources {
			if v := c.Judge(s); v.Wrong() > 0 {
				t.Errorf("%s, of %d messages of source %d: %v", c.Who, s.Mark(), s.ID(), v)
			}
		}
	}
}

// WantFirst checks that what came from each source are its first messages
// without a hole, at least so many.
func WantFirst[S rig.Source](t testing.TB, c *rig.Client, sources []S, least []int) {
	t.Helper()
	for i, s := range sources {
		got := c.Count(s.ID())
		if v := c.JudgeSpan(s.ID(), rig.Span{First: 0, End: got}); v.Wrong() > 0 {
			t.Errorf("%s got %d messages of source %d, but of the first so many: %v", c.Who, got, s.ID(), v)
		}
		if got < least[i] {
			t.Errorf("%s got %d messages of source %d, of at least %d", c.Who, got, s.ID(), least[i])
		}
	}
}

// Most is how many messages of each source one of the clients has got at least.
func Most[S rig.Source](clients []*rig.Client, sources []S) (counts []int) {
	for _, s := range sources {
		count := 0
		for _, c := range clients {
			count = max(count, c.Count(s.ID()))
		}
		counts = append(counts, count)
	}
	return counts
}

// ReadIDs finds the ids of the messages in the stream of the test, for the
// length of the test.
func ReadIDs(t testing.TB, b *amqptest.Server) *rig.IDs {
	ids := rig.ReadIDs(b.URL(), Stream(t))
	t.Cleanup(ids.Close)
	return ids
}

// ResumeMany connects clients that go on where those of gone were cut off.
func ResumeMany(t testing.TB, gone []*rig.Client, n *Node, ids *rig.IDs) []*rig.Client {
	t.Helper()
	var all []*rig.Client
	for _, c := range gone {
		all = append(all, connect(t, rig.ClientOptions{}, func(o rig.ClientOptions) ([]*rig.Client, error) {
			ctx, cancel := Context(t)
			defer cancel()
			again, err := rig.Resume(ctx, c, n.Node, "/ws/"+Room, ids, o)
			return []*rig.Client{again}, err
		})...)
	}
	return all
}
