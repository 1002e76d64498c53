package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lastWord ends the listening of a client that joined.
const lastWord = "end"

// publisher is a client that sends numbered messages: "<id>/<number>" and
// padding behind a space. One goroutine at a time may make it send.
type publisher struct {
	*client
	id    int // small, and its own within a test
	pad   string
	begun atomic.Int64
}

func (p *publisher) sendNext() error {
	n := p.begun.Add(1) - 1
	return p.send(fmt.Sprintf("%d/%d%s", p.id, n, p.pad))
}

// sendMany sends so many without a pause.
func (p *publisher) sendMany(count int) error {
	for range count {
		if err := p.sendNext(); err != nil {
			return err
		}
	}
	return nil
}

// mark is a number: messages from there on begin to be sent after the call,
// those before it have begun.
func (p *publisher) mark() int { return int(p.begun.Load()) }

func marks(publishers []*publisher) (m []int) {
	for _, p := range publishers {
		m = append(m, p.mark())
	}
	return m
}

// publish makes publishers of clients, their ids counting from first.
func publish(clients []*client, first int) (all []*publisher) {
	for i, c := range clients {
		all = append(all, &publisher{client: c, id: first + i})
	}
	return all
}

// talk lets publishers send a message at every tick, until stop is called or
// their connection closes. stop returns what kept them from sending.
func talk(t *testing.T, publishers []*publisher, every time.Duration) (stop func() error) {
	var group sync.WaitGroup
	over := make(chan struct{})
	failed := make(chan error, len(publishers))
	for _, p := range publishers {
		group.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-p.done:
					return
				case <-over:
					return
				}
				if err := p.sendNext(); err != nil {
					failed <- fmt.Errorf("publisher %d: %w", p.id, err)
					return
				}
			}
		})
	}
	stop = sync.OnceValue(func() error {
		close(over)
		group.Wait()
		close(failed)
		var all error
		for err := range failed {
			all = errors.Join(all, err)
		}
		return all
	})
	t.Cleanup(func() {
		for _, p := range publishers {
			_ = p.conn.Close() // one may be stuck in sending
		}
		_ = stop()
	})
	return stop
}

// tally is the numbered messages a client got, each publisher's in the order
// in which they came.
type tally struct {
	who string
	mu  sync.Mutex
	got [][]int // guarded by mu; by publisher's id
}

// note reads a publisher's message.
func (a *tally) note(text []byte) error {
	name, rest, ok := bytes.Cut(text, []byte("/"))
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	id, err := strconv.Atoi(string(name))
	number, err2 := strconv.Atoi(string(digits))
	if !ok || err != nil || err2 != nil || id < 0 {
		return fmt.Errorf("message %.50q is no publisher's", text)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.got) <= id {
		a.got = append(a.got, nil)
	}
	a.got[id] = append(a.got[id], number)
	return nil
}

// of returns what came from p so far.
func (a *tally) of(p *publisher) []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.id >= len(a.got) {
		return nil
	}
	return a.got[p.id]
}

// total is how many messages came.
func (a *tally) total() (sum int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, numbers := range a.got {
		sum += len(numbers)
	}
	return sum
}

// awaitNumbers waits until each client has got a message of each publisher
// numbered until or later.
func awaitNumbers(t *testing.T, clients []*client, publishers []*publisher, until []int) {
	t.Helper()
	await(t, func() error {
		for _, c := range clients {
			for i, p := range publishers {
				got := c.of(p)
				if until[i] < 0 || len(got) > 0 && got[len(got)-1] >= until[i] {
					continue
				}
				select {
				case <-c.done:
					t.Fatalf("a client of %s ended: %v", c.node.name, c.err)
				default:
				}
				return fmt.Errorf("a client of %s has %d messages of publisher %d and waits for number %d", c.node.name, len(got), p.id, until[i])
			}
		}
		return nil
	})
}

// awaitLast waits until each client has the last message of each publisher.
func awaitLast(t *testing.T, clients []*client, publishers []*publisher) {
	t.Helper()
	last := marks(publishers)
	for i := range last {
		last[i]--
	}
	awaitNumbers(t, clients, publishers, last)
}

// dismissed waits for clients who were told lastWord.
func dismissed(t *testing.T, clients []*client) {
	t.Helper()
	for _, c := range clients {
		<-c.done
		if c.err != nil {
			t.Errorf("a client of %s was cut off: %v", c.node.name, c.err)
		}
	}
}

// missing returns what didn't come from p. It fails the test if a message came
// twice or out of order, or was never sent.
func (a *tally) missing(t *testing.T, p *publisher) (numbers []int) {
	t.Helper()
	next := 0
	for _, number := range a.of(p) {
		if number < next {
			t.Fatalf("%s got message %d of publisher %d after %d", a.who, number, p.id, next-1)
		}
		for ; next < number; next++ {
			numbers = append(numbers, next)
		}
		next++
	}
	if next > p.mark() {
		t.Fatalf("%s got message %d of publisher %d, who sent %d", a.who, next-1, p.id, p.mark())
	}
	for ; next < p.mark(); next++ {
		numbers = append(numbers, next)
	}
	return numbers
}

// wantAll checks that every message of the publishers came, once and in order.
func (a *tally) wantAll(t *testing.T, publishers []*publisher) {
	t.Helper()
	for _, p := range publishers {
		if m := a.missing(t, p); len(m) > 0 {
			t.Errorf("%s lacks %d of %d messages of publisher %d, first %d, last %d",
				a.who, len(m), p.mark(), p.id, m[0], m[len(m)-1])
		}
	}
}

// wantFirst checks that what came from each publisher are its first messages
// without a hole, at least so many.
func (a *tally) wantFirst(t *testing.T, publishers []*publisher, least []int) {
	t.Helper()
	for i, p := range publishers {
		got := len(a.of(p))
		if m := a.missing(t, p); len(m) > 0 && m[0] < got {
			t.Errorf("%s got %d messages of publisher %d, without number %d", a.who, got, p.id, m[0])
		}
		if got < least[i] {
			t.Errorf("%s got %d messages of publisher %d, of at least %d", a.who, got, p.id, least[i])
		}
	}
}

// wantAll checks that every client got everything.
func wantAll(t *testing.T, clients []*client, publishers []*publisher) {
	t.Helper()
	for _, c := range clients {
		c.wantAll(t, publishers)
	}
}

// most is how many messages of each publisher one of the clients has got at
// least.
func most(clients []*client, publishers []*publisher) (counts []int) {
	for _, p := range publishers {
		count := 0
		for _, c := range clients {
			count = max(count, len(c.of(p)))
		}
		counts = append(counts, count)
	}
	return counts
}

// repeat is the same count for each of the publishers.
func repeat(count int, publishers []*publisher) []int {
	return slices.Repeat([]int{count}, len(publishers))
}
