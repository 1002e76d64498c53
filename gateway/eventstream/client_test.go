package eventstream_test

import (
	"strconv"
	"strings"
)

// event is a MessageEvent as a page gets it.
type event struct{ name, data, lastID string }

// client reads a stream as WHATWG HTML, 9.2.6 has it.
type client struct {
	events []event
	lastID string
	retry  int // milliseconds; -1 until it is set

	data, name, id strings.Builder
}

func read(stream []byte) *client {
	c := &client{retry: -1}
	rest := strings.TrimPrefix(string(stream), "\ufeff")
	for {
		end := strings.IndexAny(rest, "\r\n")
		if end < 0 {
			return c // what is not ended is dropped
		}
		line := rest[:end]
		if strings.HasPrefix(rest[end:], "\r\n") {
			end++
		}
		rest = rest[end+1:]
		c.line(line)
	}
}

func (c *client) line(line string) {
	if line == "" {
		c.dispatch()
		return
	}
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "event":
		c.name.Reset()
		c.name.WriteString(value)
	case "data":
		c.data.WriteString(value + "\n")
	case "id":
		if !strings.Contains(value, "\x00") {
			c.id.Reset()
			c.id.WriteString(value)
		}
	case "retry":
		if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
			c.retry = int(ms)
		}
	}
}

func (c *client) dispatch() {
	c.lastID = c.id.String()
	data, name := c.data.String(), c.name.String()
	c.data.Reset()
	c.name.Reset()
	if data == "" {
		return
	}
	if name == "" {
		name = "message"
	}
	c.events = append(c.events, event{name, strings.TrimSuffix(data, "\n"), c.lastID})
}
