package request_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"warren/gateway/request"
)

func TestParseQuery(t *testing.T) {
	for _, c := range []struct {
		query   string
		history int
		since   string // "": none
		err     *request.Error
	}{
		{query: "", history: -1},
		{query: "token=abc&_=1699&x", history: -1},
		{query: "&&=&", history: -1},
		{query: "History=x&SINCE=&histories=y&history%=z&hist%6fry=z", history: -1},
		{query: "a=history=3&b=since=4", history: -1},
		{query: "history=0", history: 0},
		{query: "history=100", history: 100},
		{query: "history=007", history: 7},
		{query: "history=999999999", history: 999999999},
		{query: "history=1000000000", err: request.ErrHistory},
		{query: "history=99999999999999999999999", err: request.ErrHistory},
		{query: "history", err: request.ErrHistory},
		{query: "history=", err: request.ErrHistory},
		{query: "history=-1", err: request.ErrHistory},
		{query: "history=+1", err: request.ErrHistory},
		{query: "history=1.0", err: request.ErrHistory},
		{query: "history=1;since=2", err: request.ErrHistory},
		{query: "history=%31", err: request.ErrHistory},
		{query: "history=1=1", err: request.ErrHistory},
		{query: "history=1&history=1", err: request.ErrHistory},
		{query: "history=0&x&history=", err: request.ErrHistory},
		{query: "since=1-0badcafe", history: -1, since: "1-0badcafe"},
		{query: "since=anything%20else=here", history: -1, since: "anything%20else=here"},
		{query: "t=1&since=1-0badcafe&history=5&t=2", history: 5, since: "1-0badcafe"},
		{query: "since", err: request.ErrSince},
		{query: "since=", err: request.ErrSince},
		{query: "since=1&since=1", err: request.ErrSince},
		{query: "since=1&since=", err: request.ErrSince},
	} {
		q, err := request.ParseQuery([]byte(c.query))
		if err != c.err {
			t.Errorf("%q: %v, want %v", c.query, err, c.err)
			continue
		}
		if err != nil {
			c.history = 0
		}
		if q.History != c.history || string(q.Since) != c.since || q.Since != nil != (c.since != "") {
			t.Errorf("%q: %d and %q, want %d and %q", c.query, q.History, q.Since, c.history, c.since)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = request.ParseQuery([]byte("a=1&history=100&since=1-0badcafe")) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzQuery: what is read of a query is what net/url reads of it, where that
// needs no decoding.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "history=1", "since=1-0badcafe&history=20&x=y", "history&since", "a=b&&c=", "history=1&history=2", "since=a=b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		given := string(b)
		q, err := request.ParseQuery(b)
		if string(b) != given {
			t.Fatal("ParseQuery changed its input")
		}
		if q.Since != nil && !within(q.Since, b) {
			t.Fatalf("%q lies outside the query", q.Since)
		}
		if strings.ContainsAny(given, "%+;") {
			return
		}
		values, urlErr := url.ParseQuery(given)
		if urlErr != nil {
			t.Fatalf("net/url: %v", urlErr)
		}
		history, since := values["history"], values["since"]
		n, atoiErr := -1, error(nil)
		if len(history) == 1 {
			n, atoiErr = strconv.Atoi(history[0])
		}
		badHistory := len(history) > 1 || atoiErr != nil || len(history) == 1 && (len(history[0]) > 9 || strings.Trim(history[0], "0123456789") != "")
		badSince := len(since) > 1 || len(since) == 1 && since[0] == ""
		switch {
		case badHistory || badSince:
			if err != request.ErrHistory && err != request.ErrSince || err == request.ErrHistory && !badHistory || err == request.ErrSince && !badSince {
				t.Fatalf("%q: %v", given, err)
			}
		case err != nil || q.History != n || len(since) == 1 && string(q.Since) != since[0] || len(since) == 0 && q.Since != nil:
			t.Fatalf("%q: %+v, %v", given, q, err)
		}
	})
}
