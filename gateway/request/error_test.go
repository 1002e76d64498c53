package request_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"warren/gateway/request"
)

func TestErrorAppend(t *testing.T) {
	parsed := func(head string) *request.Error {
		_, err := request.Parse([]byte(head))
		return err
	}
	for _, c := range []struct {
		err    *request.Error
		status int
		header string // "Name: value" that must be there
	}{
		{request.ErrOrigin, 403, ""},
		{request.ErrPath, 404, ""},
		{request.ErrChannel, 404, ""},
		{request.ErrUpgradeRequired, 426, "Upgrade: websocket"},
		{request.ErrUpgradeRequired, 426, "Sec-WebSocket-Version: 13"},
		{request.ErrTooLarge, 431, ""},
		{request.ErrFull, 503, "Retry-After: 5"},
		{request.ErrNotLinked, 503, "Retry-After: 5"},
		{request.ErrStopping, 503, "Retry-After: 5"},
		{request.ErrHistory, 400, ""},
		{request.ErrSince, 400, ""},
		{parsed("x\r\n\r\n"), 400, ""},
		{parsed(upgrade(getRoom, "-Sec-WebSocket-Version")), 400, "Sec-WebSocket-Version: 13"},
		{parsed(upgrade(getRoom, "Sec-WebSocket-Version: 8")), 426, "Sec-WebSocket-Version: 13"},
		{parsed(head("PRI * HTTP/2.0")), 505, ""},
	} {
		out := c.err.Append([]byte("before"))
		if !bytes.HasPrefix(out, []byte("before")) || len(out) > 512 {
			t.Errorf("%v: %q", c.err, out)
		}
		in := bufio.NewReader(bytes.NewReader(out[len("before"):]))
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%v: %v", c.err, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || in.Buffered() != 0 {
			t.Errorf("%v: body %q, %v, and %d bytes behind it", c.err, body, err, in.Buffered())
		}
		name, value, _ := strings.Cut(c.header, ": ")
		switch {
		case r.StatusCode != c.status || c.err.Status != c.status || !strings.HasPrefix(c.err.Error(), r.Status+": "):
			t.Errorf("%v: status %s, want %d", c.err, r.Status, c.status)
		case string(body) != c.err.Reason+"\n" || strings.Count(string(body), "\n") != 1:
			t.Errorf("%v: body %q", c.err, body)
		case !r.Close || r.Header.Get("Content-Type") != "text/plain; charset=utf-8":
			t.Errorf("%v: header %v", c.err, r.Header)
		case c.header != "" && r.Header.Get(name) != value:
			t.Errorf("%v: header %v lacks %s", c.err, r.Header, c.header)
		}
	}
}
