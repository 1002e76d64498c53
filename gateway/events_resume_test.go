package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"warren/gateway"
)

func said(i int) event { return event{"", fmt.Sprint(i), streamID(i).String()} }

// Where a stream begins: by the header, the query, in this order.
func TestEventsResume(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(20), r)
	to := <-r.to
	for i := range 50 { // 0 to 29 are gone
		to.Deliver(streamed("room", i))
	}
	id := func(i int) string { return streamID(i).String() }
	header := func(id string) []string { return []string{"Last-Event-ID: " + id} }
	for _, tt := range []struct {
		query  string
		fields []string
		first  int    // message
		gap    string // the from of a gap
	}{
		{"", nil, 50, ""},
		{"?history=0", nil, 50, ""},
		{"?history=5", nil, 45, ""},
		{"?history=100", nil, 30, ""},
		{"?since=" + id(40), nil, 41, ""},
		{"?since=" + streamPlace(40).String(), nil, 41, ""},
		{"?last-event-id=" + id(41), nil, 42, ""},
		{"?lastEventId=" + id(41), nil, 42, ""},
		{"?since=" + id(40) + "&last-event-id=" + id(41), nil, 42, ""},
		{"", header(id(42)), 43, ""},
		{"?since=" + id(40), header(id(42)), 43, ""},
		{"?last-event-id=" + id(40) + "&since=" + id(41), header(id(42)), 43, ""},
		{"?history=3", header(id(42)), 47, id(42)},
		{"?history=30", header(id(42)), 43, ""},
		{"?since=what", header(id(42)), 43, ""},
		{"?since=" + id(40), header(""), 41, ""}, // a browser that knows none
		{"?since=" + id(5), nil, 30, id(5)},
		{"", header(id(5)), 30, id(5)},
		{"", header(id(29)), 30, ""},
		{"", header("of another server"), 30, "none"},
		{"?last-event-id=what", nil, 30, "none"},
		{"", header(id(49)), 50, ""},
	} {
		c := openEvents(t, n, "/sse/room"+tt.query, tt.fields...)
		name := fmt.Sprintf("%s %q", tt.query, tt.fields)
		offset := fmt.Sprint(streamID(tt.first-1).Offset, "-")
		if tt.gap != "" {
			begin := fmt.Sprintf(`{"from":"%s","to":"%s`, tt.gap, offset)
			if tt.gap == "none" {
				begin = fmt.Sprintf(`{"to":"%s`, offset)
			}
			if e, err := c.next(false); err != nil || e.name != "gap" || !strings.HasPrefix(e.data, begin) {
				t.Errorf("%s: %q, %v", name, e, err)
			}
		}
		if e := c.event(); e.data != "" || !strings.HasPrefix(e.id, offset) {
			t.Errorf("%s: %q, want the place %s", name, e, offset)
		}
		for i := tt.first; i < 50; i++ {
			c.expect(said(i))
		}
		to.Deliver(streamed("room", 50))
		c.expect(said(50))
		_ = c.Close()
		awaitStats(t, n, "it has left", func(st gateway.Stats) bool { return st.Connections == 0 })
		to.Deliver(streamed("room", 0)) // offsets begin anew, and all of it again
		for i := 1; i < 50; i++ {
			to.Deliver(streamed("room", i))
		}
	}
}

// Root hears all channels; binary is marked and in base64.
func TestEventsRoot(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(100), r)
	to := <-r.to
	to.Deliver(streamed("a", 0))
	c, past := openEvents(t, n, "/sse"), openEvents(t, n, "/sse?history=9")
	c.event()
	to.Deliver(streamed("b/c", 1))
	to.Deliver(gateway.Message{Channel: "d", Payload: []byte{0, 255, 254}, ID: streamID(2)})
	to.Deliver(gateway.Message{Channel: "d", Payload: []byte("\nid: x\n\r\revent: y"), Text: true, ID: streamID(3)})
	to.Deliver(gateway.Message{Text: true, ID: streamID(4)})
	want := []event{said(1), {"binary", "AP/+", streamID(2).String()}, {"", "\nid: x\n\n\nevent: y", streamID(3).String()}}
	c.expect(want...)
	past.expect(said(0))
	past.expect(want...)
	empty := fmt.Sprintf("id: %v\ndata: \n\n", streamID(4))
	for _, c := range []*eventConn{c, past} {
		b := make([]byte, len(empty))
		if _, err := io.ReadFull(c.in, b); err != nil || string(b) != empty {
			t.Errorf("got %q, %v", b, err)
		}
	}
}

// A stream waits for an id that is ahead, as a WebSocket does.
func TestEventsFuture(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(100), r)
	to := <-r.to
	to.Deliver(streamed("room", 0))
	c := approachEvents(t, n, "/sse/room", 0, "Last-Event-ID: "+streamID(5).String())
	awaitStats(t, n, "it waits", func(st gateway.Stats) bool { return st.Awaited == 1 })
	for i := 1; i < 8; i++ {
		to.Deliver(streamed("room", i))
	}
	c.begun()
	c.expect(said(6), said(7))

	r.mu.Lock()
	r.status = errors.New("no link")
	r.mu.Unlock()
	late := approachEvents(t, n, "/sse/room", 0, "Last-Event-ID: "+streamID(9).String())
	answer, err := http.ReadResponse(late.in, nil)
	if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("answered %v, %v", answer, err)
	}
}

// Browsers that come back by the last id get every message once.
func TestEventsResumeUnderLoad(t *testing.T) {
	t.Parallel()
	const messages, clients = 6000, 8
	r := newRecorder()
	n := start(t, keeping(messages), r)
	to := <-r.to
	var group sync.WaitGroup
	group.Go(func() {
		for i := range messages {
			for hold := to.Hold(); hold != nil; hold = to.Hold() {
				<-hold
			}
			to.Deliver(streamed("room", i))
		}
	})
	for i := range clients {
		group.Go(func() {
			last, lastID := -1, ""
			for visit := 0; last < messages-1; visit++ {
				path := "/sse/room"
				if lastID == "" {
					path += "?history=6000"
				}
				c := openEventsWithin(t, n, path, smallWindow, "Last-Event-ID: "+lastID)
				for most := 100 + (visit*617+i*31)%2500; most > 0 && last < messages-1; most-- {
					e, err := c.next(false)
					if errors.Is(err, io.EOF) {
						break // slow: come back
					}
					if err != nil || e != said(last+1) {
						t.Errorf("client %d, after message %d: %q, %v", i, last, e, err)
						return
					}
					last++
				}
				lastID = c.lastID
				_ = c.Close()
			}
		})
	}
	group.Wait()
	if st := n.Stats(); st.Missed != 0 || st.Resumed == 0 {
		t.Errorf("%+v", st)
	}
}

// Much of the past, encoded for each, and the seam to what comes meanwhile.
func TestEventsPast(t *testing.T) {
	t.Parallel()
	const past, more, clients = 4000, 400, 6
	o := keeping(past + more)
	o.Clients.MaxLag = 64 << 10
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	for i := range past {
		to.Deliver(streamed("room", i))
	}
	var group sync.WaitGroup
	for i := range clients {
		c := openEventsWithin(t, n, "/sse/room?history=4000", smallWindow)
		group.Go(func() {
			for j := range past + more {
				if e, err := c.next(false); err != nil || e != said(j) {
					t.Errorf("client %d, instead of message %d: %q, %v", i, j, e, err)
					return
				}
			}
		})
	}
	live := openEvents(t, n, "/sse/room")
	live.event()
	for i := past; i < past+more; i++ {
		to.Deliver(streamed("room", i))
		live.expect(said(i))
	}
	group.Wait()
	if st := n.Stats(); st.Evicted != 0 || st.Resumed != clients {
		t.Errorf("%+v", st)
	}
}

// Slow readers are closed with the reason, or moved on and told.
func TestEventsSlow(t *testing.T) {
	t.Parallel()
	for _, policy := range []gateway.SlowPolicy{gateway.SlowClose, gateway.SlowSkip} {
		r := newRecorder()
		n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 128 << 10, Slow: policy, CloseTimeout: 3 * patience}}, r)
		to := <-r.to
		c := openEventsWithin(t, n, "/sse/room", narrowWindow)
		c.event()
		const size = 3000
		count := 0
		for ; ; count++ {
			if st := n.Stats(); st.Evicted+st.Skips > 0 {
				break
			}
			if count > 10_000 {
				t.Fatal("it is never slow")
			}
			to.Deliver(wide("room", count, size))
		}
		if policy == gateway.SlowClose {
			next, gaps, err := c.readSlow(size, count)
			if err != io.EOF || gaps > 0 || next == 0 || next == count || len(c.comments) != 1 || c.comments[0] != "slow consumer" {
				t.Errorf("after %d of %d messages and %d gaps: %v, %q", next, count, gaps, err, c.comments)
			}
			continue
		}
		// It doesn't read: that it keeps something of the log alive will show.
		awaitStats(t, n, "it is late", func(st gateway.Stats) bool { return st.LogBytes > 0 })
		done := make(chan error, 1)
		go func() {
			_, gaps, err := c.readSlow(size, count)
			if gaps == 0 {
				err = errors.Join(err, errors.New("no gap"))
			}
			done <- err
		}()
		awaitStats(t, n, "it has read what is left", func(st gateway.Stats) bool { return st.LogBytes == 0 })
		to.Deliver(wide("room", count, size)) // nothing skips this one
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// readSlow reads messages from 0 to last, both included, some of which may be
// left out behind a gap. next is the one that would have come next.
func (c *eventConn) readSlow(size, last int) (next, gaps int, err error) {
	for next <= last {
		e, err := c.next(false)
		if err == nil && e.name == "gap" {
			if gaps++; e.data != "{}" || next > 0 && e.id != streamID(next-1).String() {
				return next, gaps, fmt.Errorf("%q behind message %d", e, next-1)
			}
			for e, err = c.next(false); err == nil && next < last && e.id != streamID(next).String(); {
				next++
			}
		}
		if err != nil {
			return next, gaps, err
		}
		if e.id != streamID(next).String() || e.data != string(wide("room", next, size).Payload) {
			return next, gaps, fmt.Errorf("instead of message %d: %.100q", next, e)
		}
		next++
	}
	return next, gaps, nil
}

// A node that stops writes what is due, says so, and ends the stream.
func TestEventsStop(t *testing.T) {
	const count = 500
	o := keeping(count)
	o.Clients = gateway.ClientOptions{MaxLag: 64 << 20, CloseTimeout: patience}
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	live, past := openEventsWithin(t, n, "/sse/room", narrowWindow), (*eventConn)(nil)
	for i := range count {
		to.Deliver(wide("room", i, 1000))
		if i == count/2 {
			past = openEventsWithin(t, n, "/sse/room?history=500", narrowWindow)
		}
	}
	stopped := stopping(t, n)
	awaitStats(t, n, "both are closing", func(st gateway.Stats) bool { return st.Clients == 0 })
	for _, c := range []*eventConn{live, past} {
		for i := range count {
			c.expect(event{"", string(wide("room", i, 1000).Payload), streamID(i).String()})
		}
		c.stops("the node restarts")
		_ = c.Close()
	}
	<-stopped
	if st := n.Stats(); st.Stuck != 0 || st.Connections != 0 {
		t.Errorf("%+v", st)
	}
}
