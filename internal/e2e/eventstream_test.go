package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"warren/haproxy/haproxytest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// event is one of a stream of server-sent events (WHATWG HTML, 9.2.6).
type event struct {
	name, id, data string
	retry          string // milliseconds
}

// eventStream is a client of server-sent events by hand.
type eventStream struct {
	t      *testing.T
	events chan event // closed when the stream has ended
	cut    context.CancelFunc
}

// listenEvents opens a stream; lastID is for the header, if it isn't empty.
func listenEvents(t *testing.T, url, lastID string) *eventStream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	rigtest.Check(t, err)
	r.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := (&http.Transport{}).RoundTrip(r)
	rigtest.Check(t, err)
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("%s: %s, %s", url, answer.Status, kind)
	}
	s := &eventStream{t: t, events: make(chan event, 1), cut: cancel}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer answer.Body.Close()
		s.read(ctx, answer.Body)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

func (s *eventStream) read(ctx context.Context, body io.Reader) {
	defer close(s.events)
	for e := range eventsOf(body) {
		if e.data == "" {
			continue
		}
		select {
		case s.events <- e:
		case <-ctx.Done():
			return
		}
	}
}

// eventsOf reads a stream to its end. Those without data are there, too: they set
// the id or the time to come back.
func eventsOf(body io.Reader) iter.Seq[event] {
	return func(yield func(event) bool) {
		var e event
		for lines := bufio.NewScanner(body); lines.Scan(); {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data += value + "\n"
			case "retry":
				e.retry = value
			case "":
				if lines.Text() != "" {
					continue // a comment
				}
				if !yield(e) {
					return
				}
				e = event{id: e.id}
			}
		}
	}
}

// next is the next event's id and text.
func (s *eventStream) next() (id, text string) {
	s.t.Helper()
	select {
	case e, ok := <-s.events:
		if !ok || e.name != "" || e.id == "" {
			s.t.Fatalf("instead of a message: event %+v, stream open: %v", e, ok)
		}
		return e.id, strings.TrimSuffix(e.data, "\n")
	case <-time.After(rigtest.Patience):
		s.t.Fatal("no event came")
		panic("unreachable")
	}
}

// A client of server-sent events hears a channel by way of HAProxy, is cut off
// and comes back to the other node with the id it had last, in the header and
// in the query: it hears everything once, in order.
func TestEventStream(t *testing.T) {
	const rounds, messages = 4, 100 // heard in each
	b := rigtest.Broker(t)
	nodes := []*rigtest.Node{rigtest.ReadyNode(t, "one", b.URL(), keeps), rigtest.ReadyNode(t, "two", b.URL(), keeps)}
	proxy := haproxytest.New(t, [2]string{nodes[0].Addr(), nodes[1].Addr()})
	site := "http://" + proxy.Addr()
	status, script := fetch(t, site+"/warren.js")
	if _, want := nodes[0].Get("/warren.js"); status != http.StatusOK || script != want || !strings.Contains(script, "export function connect") {
		t.Errorf("/warren.js by HAProxy: %d and %d bytes", status, len(script))
	}
	if status, body := fetch(t, site+"/sse/a//b"); status != http.StatusNotFound {
		t.Errorf("/sse of no channel: %d %s", status, body)
	}

	served(t, proxy, 0)
	s := listenEvents(t, site+"/sse/"+rigtest.Room, "")
	root := listenEvents(t, "http://"+nodes[0].Addr()+"/sse", "")
	program := rig.StartProgram(rig.ProgramOptions{
		URLs: []string{b.URL()}, Exchange: rigtest.Exchange(t), Stream: rigtest.Stream(t), Channel: rigtest.Room, Every: 2 * time.Millisecond,
	})
	t.Cleanup(program.Cut)
	heard, everywhere := rig.Tally{Who: "the client"}, rig.Tally{Who: "root's client"}
	last := ""
	for round := range rounds {
		for range messages {
			last = note(t, s, &heard)
		}
		s.cut()
		awaitMark(t, program, heard.Count(0)+messages/2) // something to miss
		served(t, proxy, (round+1)%2)
		if round%2 == 0 {
			s = listenEvents(t, site+"/sse/"+rigtest.Room, last)
		} else {
			s = listenEvents(t, site+"/sse/"+rigtest.Room+"?last-event-id="+last, "")
		}
	}
	ctx, cancel := rigtest.Context(t)
	defer cancel()
	rigtest.Check(t, program.Stop(ctx))
	for _, listener := range []struct {
		*eventStream
		*rig.Tally
	}{{s, &heard}, {root, &everywhere}} {
		for listener.Last(0) < program.Mark()-1 {
			note(t, listener.eventStream, listener.Tally)
		}
	}
	rigtest.Say(t, b.URL(), rigtest.Room, rig.LastWord)
	for _, listener := range []*eventStream{s, root} {
		if _, text := listener.next(); text != rig.LastWord {
			t.Errorf("before the last word came %q", text)
		}
	}
	for _, tally := range []*rig.Tally{&heard, &everywhere} {
		if v := tally.Judge(program); v.Wrong() > 0 {
			t.Errorf("%s, of %d messages: %v", tally.Who, program.Mark(), v)
		}
	}
}

func note(t *testing.T, s *eventStream, tally *rig.Tally) (id string) {
	t.Helper()
	id, text := s.next()
	rigtest.Check(t, tally.Note([]byte(text)))
	return id
}

// awaitMark waits until a program has said so much.
func awaitMark(t *testing.T, p *rig.Program, mark int) {
	t.Helper()
	rigtest.Await(t, func() error {
		if got := p.Confirmed(); got < mark {
			return fmt.Errorf("the program has %d messages confirmed, of %d", got, mark)
		}
		return nil
	})
}

// served lets HAProxy give new clients to node i only.
func served(t *testing.T, p *haproxytest.Proxy, i int) {
	t.Helper()
	for j, state := range map[int]string{i: "ready", 1 - i: "drain"} {
		answer, err := p.Command(fmt.Sprintf("set server websocket_servers/node%d state %s", j+1, state))
		if err != nil || strings.TrimSpace(answer) != "" {
			t.Fatalf("node%d: %q, %v", j+1, answer, err)
		}
	}
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: rigtest.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	rigtest.Check(t, err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	rigtest.Check(t, err)
	return answer.StatusCode, string(b)
}
