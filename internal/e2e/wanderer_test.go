package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"warren/haproxy/haproxytest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// wanderer hears Room as server-sent events by way of HAProxy. When its stream ends
// it comes back as a browser does: after the time that it was told, with the last
// id.
type wanderer struct {
	rig.Tally

	url    string
	client *http.Client
	lastID string
	retry  time.Duration
	open   chan struct{} // closed at the first answer
	once   sync.Once     // to close it

	done  chan struct{}
	moves []time.Duration // from the end of a stream to the next one's head; static after done
	err   error           // why it stays away, nil after LastWord; the same
}

// wander sets out so many, and returns when all are there.
func wander(t *testing.T, proxy *haproxytest.Proxy, count int) (all []*wanderer) {
	t.Helper()
	there, late := rigtest.Context(t)
	defer late()
	ctx, cancel := context.WithCancel(t.Context())
	for i := range count {
		w := &wanderer{
			Tally: rig.Tally{Who: fmt.Sprint("wanderer ", i)}, url: proxy.Site("/sse/" + rigtest.Room), client: proxy.Client(),
			open: make(chan struct{}), done: make(chan struct{}),
		}
		all = append(all, w)
		go w.roam(ctx)
	}
	t.Cleanup(func() {
		cancel()
		for _, w := range all {
			<-w.done
		}
	})
	for _, w := range all {
		select {
		case <-w.open:
		case <-w.done:
			t.Fatalf("%s never came: %v", w.Who, w.err)
		case <-there.Done():
			t.Fatalf("%s never came: %v", w.Who, there.Err())
		}
	}
	return all
}

func (w *wanderer) roam(ctx context.Context) {
	defer close(w.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for ended := time.Now(); ; ended = time.Now() {
		pause.Reset(w.retry)
		select {
		case <-pause.C:
		case <-ctx.Done():
			w.err = ctx.Err()
			return
		}
		last, err := w.listen(ctx, ended)
		if last || err != nil {
			w.err = err
			return
		}
	}
}

// listen hears one stream to its end, or to the last word.
func (w *wanderer) listen(ctx context.Context, ended time.Time) (last bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		return false, err
	}
	r.Header.Set("Accept", "text/event-stream")
	if w.lastID != "" {
		r.Header.Set("Last-Event-ID", w.lastID)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return false, errors.New(answer.Status) // with which a browser gives up
	}
	w.once.Do(func() { close(w.open) })
	if w.lastID != "" {
		w.moves = append(w.moves, time.Since(ended))
	}
	for e := range eventsOf(answer.Body) {
		if e.id != "" {
			w.lastID = e.id
		}
		if e.retry != "" {
			ms, err := strconv.Atoi(e.retry)
			if err != nil {
				return false, err
			}
			w.retry = time.Duration(ms) * time.Millisecond
		}
		text := strings.TrimSuffix(e.data, "\n")
		switch {
		case e.name != "":
			return false, fmt.Errorf("an event named %s: %s", e.name, text)
		case text == rig.LastWord:
			return true, nil
		case text != "":
			if err := w.Note([]byte(text)); err != nil {
				return false, err
			}
		}
	}
	return false, ctx.Err()
}

// wantHome checks what wanderers heard and how they moved, once the last word was
// said: each once at least, and at once.
func wantHome(t *testing.T, all []*wanderer, sources []rig.Source, limit time.Duration, machine *rigtest.Pulse) {
	t.Helper()
	var moves []time.Duration
	ctx, cancel := rigtest.Context(t)
	defer cancel()
	for _, w := range all {
		select {
		case <-w.done:
		case <-ctx.Done():
			t.Fatalf("%s has not heard the last word, but %d messages: %v", w.Who, w.Total(), ctx.Err())
		}
		if w.err != nil {
			t.Errorf("%s stays away: %v", w.Who, w.err)
			continue
		}
		for _, s := range sources {
			if v := w.Judge(s); v.Wrong() > 0 {
				t.Errorf("%s, of %d messages of source %d: %v", w.Who, s.Mark(), s.ID(), v)
			}
		}
		if len(w.moves) == 0 {
			t.Errorf("%s never moved", w.Who)
		}
		moves = append(moves, w.moves...)
	}
	slices.Sort(moves)
	if len(moves) == 0 {
		return
	}
	longest := moves[len(moves)-1].Round(time.Millisecond)
	t.Logf("%d moves of event streams took %v at the median, %v at most", len(moves), moves[len(moves)/2].Round(time.Millisecond), longest)
	if limit += rigtest.RoundTrips * machine.Slowest(); longest > limit {
		t.Errorf("a move of an event stream took %v, of %v that it may", longest, limit)
	}
}
