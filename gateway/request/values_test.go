package request_test

import (
	"net/http"
	"slices"
	"testing"

	"warren/gateway/request"
)

// values are those of request.Values, as net/http would have them.
func values(t *testing.T, head []byte, name string) (list []string) {
	t.Helper()
	for v := range request.Values(head, name) {
		if !within(v, head) {
			t.Fatalf("%q lies outside the head", v)
		}
		list = append(list, string(v))
	}
	return list
}

// checkValues compares with what net/http sees.
func checkValues(t *testing.T, b []byte, h request.Head, fields http.Header) {
	t.Helper()
	forwarded := false
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "Origin", "X"} {
		got, want := values(t, b, name), fields[name]
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %q, net/http sees %q", name, got, want)
		}
		forwarded = forwarded || len(want) > 0 && len(name) >= len("Forwarded")
	}
	if h.Forwarded != forwarded {
		t.Fatalf("Forwarded is %v, net/http sees %v", h.Forwarded, fields)
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		name, in, field string
		want            []string
	}{
		{"none", upgrade(getRoom), "Forwarded", nil},
		{"one", upgrade(getRoom, "X-Forwarded-For: 203.0.113.9"), "X-Forwarded-For", []string{"203.0.113.9"}},
		{"in order", upgrade(getRoom, "Forwarded: for=a, for=b", "X-Forwarded-For: x", "FORWARDED: for=c"), "forwarded", []string{"for=a, for=b", "for=c"}},
		{"the first and the last line", head("GET / HTTP/1.0", "X: 1", "Y: 2", "x: 3"), "X", []string{"1", "3"}},
		{"white space", upgrade(getRoom, "X:\t a \t b \t", "x:"), "X", []string{"a \t b", ""}},
		{"colons", upgrade(getRoom, "X-Forwarded-For: ::1"), "X-Forwarded-For", []string{"::1"}},
		{"not quite the name", upgrade(getRoom, "X-Forwarded-Fo: a", "X-Forwarded-For2: b", "Y: X-Forwarded-For: c"), "X-Forwarded-For", nil},
		{"not the request line", head("GET http://a:80/ HTTP/1.1", "Host: a"), "GET http", nil},
		{"not behind the head", head("POST / HTTP/1.0", "X: a", "Content-Length: 9") + "X: b\r\nX: c\r\n\r\n", "X", []string{"a"}},
		{"nothing", "", "X", nil},
		{"no head", "\r\nX: a\r\n", "", nil},
	} {
		if got := values(t, []byte(c.in), c.field); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for v := range request.Values([]byte(head("GET / HTTP/1.0", "X: a", "X: b")), "x") {
		if string(v) != "a" {
			t.Errorf("%q after the break", v)
		}
		break
	}
}

func TestForwarded(t *testing.T) {
	for _, c := range []struct {
		line string
		want bool
	}{
		{"Forwarded: for=203.0.113.9", true},
		{"forwarded:", true},
		{"X-Forwarded-For: unknown", true},
		{"X-FORWARDED-FOR: \"", true},
		{"X-Forwarded-Proto: https", true},
		{"x-forwarded-proto: \x80;=", true},
		{"X-Forwarded-Host: a", false},
		{"X-Forwarded-Port: 80", false},
		{"X-Forwarded-Fox: a", false},
		{"X_Forwarded_For: a", false},
		{"Forwarder: a", false},
		{"X: Forwarded: a", false},
	} {
		h, err := request.Parse([]byte(upgrade(getRoom, c.line)))
		if err != nil || h.Forwarded != c.want || !h.WebSocket {
			t.Errorf("%q: %v, %v", c.line, h.Forwarded, err)
		}
		// Repeated or long, they are nobody's mistake that we look for.
		if h, err := request.Parse([]byte(head("GET / HTTP/1.0", c.line, c.line, "X: a", c.line))); err != nil || h.Forwarded != c.want {
			t.Errorf("%q, three times: %v, %v", c.line, h.Forwarded, err)
		}
	}
}

func TestValuesAllocation(t *testing.T) {
	in := []byte(upgrade(getRoom, "X-Forwarded-For: 203.0.113.9", "x-forwarded-for: 10.0.0.1", "Forwarded: for=a"))
	if n := testing.AllocsPerRun(100, func() {
		h, err := request.Parse(in)
		if err != nil || !h.Forwarded {
			t.Fatal("refused")
		}
		bytes := 0
		for v := range request.Values(in, "X-Forwarded-For") {
			bytes += len(v)
		}
		if bytes != len("203.0.113.9")+len("10.0.0.1") {
			t.Fatal(bytes)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
