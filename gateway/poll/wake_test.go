package poll_test

import (
	"sync"
	"testing"

	"warren/gateway/poll"
)

func TestWakeBeforeWait(t *testing.T) {
	p := open(t, 8)
	p.Wake()
	if got := wait(t, p, -1); len(got) > 0 {
		t.Fatalf("got %+v, want nothing but to return", got)
	}
}

func TestWakeDuringWait(t *testing.T) {
	p := open(t, 8)
	for range 1000 {
		var others sync.WaitGroup
		others.Go(p.Wake)
		if got := wait(t, p, -1); len(got) > 0 {
			t.Fatalf("got %+v, want nothing but to return", got)
		}
		others.Wait()
		wait(t, p, 0) // a signal may have come first: no wake is left over
	}
}

// TestManyWakes: more than a pipe holds, or a byte counts, are one.
func TestManyWakes(t *testing.T) {
	p := open(t, 8)
	ours, _ := pair(t)
	add(t, p, ours, 1, 0)
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for range 30_000 {
				p.Wake()
			}
		})
	}
	others.Wait()
	if got := wait(t, p, -1); len(got) > 0 {
		t.Fatalf("got %+v, want nothing but to return", got)
	}
	expectQuiet(t, p) // all are used up
	modify(t, p, ours, 1, poll.Write)
	expect(t, p, poll.Event{Token: 1, Writable: true})
}

// TestWakeAmongEvents: it hides nothing, and takes no place of the batch for
// ever.
func TestWakeAmongEvents(t *testing.T) {
	p := open(t, 1)
	ours, peer := pair(t)
	add(t, p, ours, 1, poll.Read)
	write(t, peer, "a")
	var got []poll.Event
	for range 10 {
		p.Wake()
		got = append(got, wait(t, p, 0)...)
	}
	if len(got) < 4 {
		t.Errorf("%d events in 10 waits with as many wakes", len(got))
	}
	for _, e := range got {
		if want := (poll.Event{Token: 1, Readable: true}); e != want {
			t.Fatalf("got %+v, want %+v", e, want)
		}
	}
}
