package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"warren/gateway"
	"warren/gateway/admin"
)

const ndjson = "application/x-ndjson"

// outcomes are the lines of an answer, each the message's id or the error's code.
func outcomes(t *testing.T, r reply) []string {
	t.Helper()
	r.is(t, http.StatusOK, "")
	if got := r.Header.Get("Content-Type"); got != ndjson {
		t.Errorf("Content-Type %q", got)
	}
	var all []string
	for line := range strings.Lines(r.body) {
		var o struct {
			Mid   string
			Error *struct{ Code, Message string }
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		switch {
		case o.Error == nil:
			all = append(all, o.Mid)
		case o.Error.Message == "" || o.Mid != "":
			t.Errorf("line %q", line)
		default:
			all = append(all, o.Error.Code)
		}
	}
	return all
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, " "), strings.Join(want, " "); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

// Each line is a message or an error; a bad one doesn't stop the others.
func TestBatch(t *testing.T) {
	big := strings.Repeat("x", 1001)
	tests := []struct {
		line, want string // the channel and payload, or an error's code
		text       bool
	}{
		{`{"channel":"a","data":{"n": [1, null]}}`, `a {"n": [1, null]}`, true},
		{`{"channel":"a/b","text":"gr\u00fc\u00df\n"}`, "a/b gr\u00fc\u00df\n", true},
		{`{"channel":"","base64":"/wA="}`, " \xff\x00", false},
		{" \t{ \"data\" : 1 , \"channel\" : \"a\" } \t", "a 1", true},
		{`{"channel":"a","data":{}}`, "a {}", true},
		{`{"channel":"a","text":"}"}`, "a }", true},
		{`{"channel":"a","text":"x","extra":{"deep":[{}]}}`, "a x", true},
		{`{"channel":"a","data":null}`, "a null", true},
		{`{"channel":"a"}`, "bad_message", false},
		{`{"data":1}`, "bad_message", false},
		{`{}`, "bad_message", false},
		{`{"channel":"a","data":1,"text":"x"}`, "bad_message", false},
		{`{"channel":"a","base64":"?"}`, "bad_message", false},
		{`{"channel":"a b","data":1}`, "bad_channel", false},
		{`{"channel":"a","data":1`, "bad_json", false},
		{`{"channel":"a","data":1,}`, "bad_json", false},
		{`{"channel":"a","data":1}}`, "bad_json", false},
		{`{"channel":"a","data":"}`, "bad_json", false},
		{`{"channel":"a","text":"` + "\xff" + `"}`, "bad_json", false},
		{`{"channel":"a","data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "bad_json", false},
		{`[]`, "bad_json", false},
		{`}`, "bad_json", false},
		{`hello`, "bad_json", false},
		{`{"channel":"a","text":"` + big + `"}`, "too_large", false},
		{`{"channel":"a","text":"` + big + big + big + big + big + big + big + big + `"}`, "too_large", false},
		{`{"channel":"z","data":"last"}`, `z "last"`, true},
	}
	for _, contentType := range []string{ndjson, "Application/JSONL; charset=utf-8"} {
		for _, end := range []string{"\n", "\r\n", "\n\n \n"} {
			t.Run(fmt.Sprintf("%s %q", contentType, end), func(t *testing.T) {
				f := newFake()
				s := start(t, admin.Options{MaxMessageSize: 1000}, f)
				var body strings.Builder
				var want []string
				for _, tt := range tests {
					body.WriteString(tt.line + end)
				}
				r := s.post("/publish", contentType, strings.TrimSuffix(body.String(), end))
				n := 0
				for _, tt := range tests {
					if !strings.Contains(tt.want, " ") {
						want = append(want, tt.want)
						continue
					}
					want = append(want, idOf(n).String())
					if m := f.wait(t, n+1)[n]; m.Channel+" "+string(m.Payload) != tt.want || m.Text != tt.text {
						t.Errorf("published %+v for %s", m, tt.line)
					}
					n++
				}
				equal(t, outcomes(t, r), want)
			})
		}
	}
}

func TestEmptyBatch(t *testing.T) {
	s := start(t, admin.Options{}, newFake())
	if got := outcomes(t, s.post("/publish", ndjson, "\n\n")); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// numbered is a batch of n messages.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"channel\":\"a\",\"data\":%d}\n", i)
	}
	return b.String()
}

// Lines don't wait for each other's confirms, which may come in any order; but
// only so many are under way.
func TestBatchIsPipelined(t *testing.T) {
	const most, count = 10, 100
	var mu sync.Mutex
	var held []gateway.Message // guarded by mu
	sent := 0                  // guarded by mu
	f := newFake()
	f.settle = func(m gateway.Message) {
		mu.Lock()
		defer mu.Unlock()
		if held = append(held, m); len(held) < most {
			return
		}
		// None comes while so many are unconfirmed: else this would be over.
		if f.count() != sent+most {
			t.Errorf("%d submitted and %d confirmed", f.count(), sent)
		}
		sent += most
		for i := len(held) - 1; i >= 0; i-- {
			n, err := strconv.Atoi(string(held[i].Payload))
			if err != nil {
				t.Error(err)
			}
			held[i].Settled(idOf(n), nil)
		}
		held = nil
	}
	s := start(t, admin.Options{MaxUnconfirmed: most}, f)
	var want []string
	for n := range count {
		want = append(want, idOf(n).String())
	}
	equal(t, outcomes(t, s.post("/publish", ndjson, numbered(count))), want)
}

// Once the exchange takes nothing more the rest isn't tried, and nothing is
// claimed of it.
func TestBatchIsCutOff(t *testing.T) {
	for code, cause := range map[string]error{"away": gateway.ErrAway, "stopping": gateway.ErrStopping} {
		t.Run(code, func(t *testing.T) {
			f := newFake()
			failed := false
			f.submit = func(n int) error {
				if n == 2 && !failed { // then it would go on
					failed = true
					return fmt.Errorf("%w: connecting", cause)
				}
				return nil
			}
			s := start(t, admin.Options{}, f)
			equal(t, outcomes(t, s.post("/publish", ndjson, numbered(5))),
				[]string{idOf(0).String(), idOf(1).String(), code, code, code})
			if n := f.count(); n != 2 {
				t.Errorf("%d messages were published", n)
			}
		})
	}
}

func TestBatchOfWhichNothingIsTaken(t *testing.T) {
	f := newFake()
	f.submit = func(int) error { return fmt.Errorf("%w: connecting", gateway.ErrAway) }
	s := start(t, admin.Options{}, f)
	s.post("/publish", ndjson, "bad\n"+numbered(3)).is(t, http.StatusServiceUnavailable, "connecting: not published")
}

// A message that the exchange won't have is an error of its line alone.
func TestBatchWithRefusedMessages(t *testing.T) {
	f := newFake()
	refused := errors.New("too large for RabbitMQ")
	first := true
	f.submit = func(n int) error {
		if n == 1 && first {
			first = false
			return refused
		}
		return nil
	}
	f.settle = func(m gateway.Message) {
		if string(m.Payload) == "2" {
			m.Settled(gateway.MessageID{}, refused)
			return
		}
		m.Settled(idOf(0), nil)
	}
	s := start(t, admin.Options{}, f)
	id := idOf(0).String()
	equal(t, outcomes(t, s.post("/publish", ndjson, numbered(4))), []string{id, "not_accepted", "not_accepted", id})
}

// What isn't confirmed in time may still be published; and while nothing is
// confirmed, nothing more is tried than may be under way.
func TestBatchUnconfirmed(t *testing.T) {
	f := newFake()
	f.settle = func(gateway.Message) {}
	s := start(t, admin.Options{ConfirmTimeout: time.Millisecond, MaxUnconfirmed: 2}, f)
	equal(t, outcomes(t, s.post("/publish", ndjson, numbered(4))), []string{"unconfirmed", "unconfirmed", "away", "away"})
	for _, m := range f.wait(t, 2) {
		m.Settled(idOf(0), nil) // late, and no harm
	}
}

// Bounds of a batch end it with a line that says so.
func TestBatchBounds(t *testing.T) {
	f := newFake()
	s := start(t, admin.Options{MaxLines: 2, MaxBatchSize: 100}, f)
	id := func(n int) string { return idOf(n).String() }
	equal(t, outcomes(t, s.post("/publish", ndjson, numbered(4))), []string{id(0), id(1), "incomplete"})

	s.post("/publish", ndjson, numbered(5)).is(t, http.StatusRequestEntityTooLarge, "100 bytes")
	if n := f.count(); n != 2 {
		t.Errorf("%d messages were published, want 2", n)
	}

	long := start(t, admin.Options{MaxBatchSize: 60}, newFake())
	r := long.request("POST", "/publish", ndjson, strings.NewReader(numbered(10)))
	r.ContentLength = -1 // in chunks
	equal(t, outcomes(t, long.do(r)), []string{id(0), id(1), "incomplete"})

	coded := s.request("POST", "/publish", ndjson, strings.NewReader("x"))
	coded.Header.Set("Content-Encoding", "gzip")
	s.do(coded).is(t, 415, "Content-Encoding")
}
