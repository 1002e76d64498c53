package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// eventConn is a client of server-sent events, by hand (WHATWG HTML, 9.2.6).
type eventConn struct {
	*rawConn
	head *http.Response

	lastID   string
	retry    string
	comments []string
}

// event is one that was dispatched, or with changed ids alone: quiet.
type event struct {
	name, data string
	id         string // the last event id by then
}

// openEvents connects a client and reads the head.
func openEvents(t *testing.T, n *node, path string, fields ...string) *eventConn {
	t.Helper()
	return openEventsWithin(t, n, path, 0, fields...)
}

func openEventsWithin(t *testing.T, n *node, path string, window int, fields ...string) *eventConn {
	t.Helper()
	c := approachEvents(t, n, path, window, fields...)
	c.begun()
	return c
}

// approachEvents asks, and doesn't wait for the answer.
func approachEvents(t *testing.T, n *node, path string, window int, fields ...string) *eventConn {
	t.Helper()
	c := &eventConn{rawConn: dialWithin(t, n, window)}
	c.put(rawHead(append([]string{"GET " + path + " HTTP/1.1", "Host: warren.test", "Accept: text/event-stream"}, fields...)...))
	return c
}

// begun reads the head.
func (c *eventConn) begun() {
	c.t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil || r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/event-stream" {
		c.t.Fatalf("instead of an event stream: %v, %v", r, err)
	}
	c.head = r
	c.in = bufio.NewReader(r.Body)
}

// next is the next event. One without a name sets the id alone, if quiet.
func (c *eventConn) next(quiet bool) (e event, err error) {
	var data []string
	id := c.lastID
	some := false // a field was seen
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) && (line != "" || some) {
				err = io.ErrUnexpectedEOF
			}
			return event{}, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			c.lastID = id
			if len(data) > 0 || quiet && some {
				e.data, e.id = strings.Join(data, "\n"), id
				return e, nil
			}
			some = false
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			c.comments = append(c.comments, value)
			continue
		case "id":
			id = value
		case "data":
			data = append(data, value)
		case "event":
			e.name = value
		case "retry":
			c.retry = value
		default:
			return event{}, errors.New("unknown line: " + line)
		}
		some = true
	}
}

// event is the next that is not quiet, or the place at the beginning.
func (c *eventConn) event() event {
	c.t.Helper()
	for {
		e, err := c.next(true)
		if err != nil {
			c.t.Fatal(err)
		}
		if e != (event{}) {
			return e
		}
	}
}

// expect wants these events next.
func (c *eventConn) expect(want ...event) {
	c.t.Helper()
	for _, w := range want {
		if got, err := c.next(false); err != nil || got != w {
			c.t.Fatalf("got %.300q, %v; want %.300q", got, err, w)
		}
	}
}

// stops wants the end of the stream next, with this comment before it.
func (c *eventConn) stops(comment string) {
	c.t.Helper()
	c.comments = nil
	if e, err := c.next(false); err != io.EOF {
		c.t.Fatalf("instead of the end: %.300q, %v", e, err)
	}
	if len(c.comments) != 1 || c.comments[0] != comment {
		c.t.Fatalf("the last comments are %q", c.comments)
	}
}
