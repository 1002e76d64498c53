package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"warren/gateway"
)

// rejecting is a recorder that won't have messages of the channel "refused".
type rejecting struct{ *recorder }

func (r rejecting) Publish(m gateway.Message) error {
	if m.Channel == "refused" {
		return errors.New("won't have it: \"no\"")
	}
	return r.recorder.Publish(m)
}

// Each command has its answer, each mistake its code, and the connection stays.
func TestJSONCommands(t *testing.T) {
	const max = 100
	o := gateway.Options{WebSocket: gateway.WebSocketOptions{MaxMessageSize: max}, Clients: gateway.ClientOptions{MaxChannels: 2}}
	r := newRecorder()
	n := start(t, o, rejecting{r})
	to := <-r.to
	to.Deliver(streamed("x", 0))
	place := fmt.Sprintf(`"id":"%v"`, streamPlace(0))
	c := openJSON(t, n, "/ws")
	mistakes := 0
	for _, tt := range []struct{ command, want string }{ // want is the code of an error, and its ref; or the whole answer
		{`{"type":"ping"}`, `{"type":"pong",` + place + `}`},
		{`{"type":"ping","ref":9007199254740992,"unknown":[{}]}`, `{"type":"pong",` + place + `,"ref":9007199254740992}`},
		{`{"type":"ping","ref":-0}`, `{"type":"pong",` + place + `,"ref":-0}`},
		{` {"typ\u0065" : "ping" , "ref" : "\u00e9\n" } `, `{"type":"pong",` + place + `,"ref":"\u00e9\n"}`},
		{`{"type":"ping","ref":"` + strings.Repeat("r", 64) + `"}`, `{"type":"pong",` + place + `,"ref":"` + strings.Repeat("r", 64) + `"}`},
		{`{"type":"subscribe","channel":"a","ref":"s"}`, `{"type":"subscribed","channel":"a",` + place + `,"ref":"s"}`},
		{`{"type":"subscribe","channel":""}`, `{"type":"subscribed","channel":"",` + place + `}`},
		{`{"type":"subscribe","channel":"a","ref":2}`, `already_subscribed 2`},
		{`{"type":"subscribe","channel":"","ref":2}`, `already_subscribed 2`},
		{`{"type":"subscribe","channel":"b","ref":2}`, `too_many_channels 2`},
		{`{"type":"unsubscribe","channel":"a","ref":3}`, `{"type":"unsubscribed","channel":"a","ref":3}`},
		{`{"type":"unsubscribe","channel":"a","ref":4}`, `not_subscribed 4`},
		{`{"type":"unsubscribe","channel":""}`, `{"type":"unsubscribed","channel":""}`},
		{`{"type":"unsubscribe","channel":""}`, `not_subscribed `},
		{`{"type":"subscribe","channel":"b","history":0,"since":null}`, `{"type":"subscribed","channel":"b",` + place + `}`},
		{`{"type":"subscribe","channel":"c","since":"1-0","ref":"x"}`, `bad_id "x"`},
		{`{"type":"subscribe","channel":"c","since":"","ref":"x"}`, `bad_id "x"`},
		{`{"type":"subscribe","channel":"c","since":1,"ref":"x"}`, `bad_message "x"`},
		{`{"type":"subscribe","channel":"c","history":-1}`, `bad_message `},
		{`{"type":"subscribe","channel":"c","history":1.0}`, `bad_message `},
		{`{"type":"subscribe","channel":"c","history":1000000000}`, `bad_message `},
		{`{"type":"subscribe","ref":1}`, `bad_message 1`},
		{`{"type":"subscribe","channel":1}`, `bad_message `},
		{`{"type":"subscribe","channel":"a//b","ref":5}`, `bad_channel 5`},
		{`{"type":"unsubscribe","channel":"` + strings.Repeat("a", 201) + `"}`, `bad_channel `},
		{`{"type":"publish","channel":"/","data":1}`, `bad_channel `},
		{`{"type":"publish","channel":"a","ref":6}`, `bad_message 6`},
		{`{"type":"publish","channel":"a","data":1,"text":"1","ref":6}`, `bad_message 6`},
		{`{"type":"publish","channel":"a","text":1}`, `bad_message `},
		{`{"type":"publish","channel":"a","base64":"A"}`, `bad_message `},
		{`{"type":"publish","channel":"a","base64":"QUI"}`, `bad_message `},
		{`{"type":"publish","channel":"a","data":1,"id":""}`, `bad_message `},
		{`{"type":"publish","channel":"a","data":1,"id":"` + strings.Repeat("i", 129) + `"}`, `bad_message `},
		{`{"type":"publish","channel":"a","data":1,"id":7}`, `bad_message `},
		{`{"type":"publish","channel":"a","text":"` + strings.Repeat("x", max+1) + `","ref":7}`, `too_large 7`},
		{`{"type":"publish","channel":"a","data":"` + strings.Repeat("x", max-1) + `"}`, `too_large `},
		{`{"type":"publish","channel":"refused","data":1,"ref":8}`, `not_accepted 8`},
		{`{"type":"publish","channel":"refused","data":1}`, `not_accepted `},
		{`{"type":"hello","ref":9}`, `bad_message 9`},
		{`{"ref":9}`, `bad_message 9`},
		{`{"type":"ping","ref":true}`, `bad_message `},
		{`{"type":"ping","ref":9007199254740993}`, `bad_message `},
		{`{"type":"ping","ref":1e3}`, `bad_message `},
		{`{"type":"ping","ref":"` + strings.Repeat("r", 65) + `"}`, `bad_message `},
		{`{"type":"ping","type":"ping"}`, `bad_message `},
		{``, `bad_json `},
		{`[]`, `bad_json `},
		{`"ping"`, `bad_json `},
		{`{"type":"ping"`, `bad_json `},
		{`{"type":"ping"}{}`, `bad_json `},
		{`{"type":"ping","ref":"\ud800"}`, `bad_json `},
		{`{"type":"ping","x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, `{"type":"pong",` + place + `}`},
		{`{"type":"ping","x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, `bad_json `},
	} {
		c.ask(tt.command)
		a, err := c.read()
		code, ref, isError := strings.Cut(tt.want, " ")
		if tt.want[0] == '{' {
			isError = false
		}
		switch {
		case err != nil:
			t.Fatalf("%s: %v", tt.command, err)
		case isError && (a.Type != "error" || a.Code != code || string(a.Ref) != ref || a.Message == ""):
			t.Errorf("%s: %s, want %s", tt.command, a.whole, tt.want)
		case !isError && a.whole != tt.want:
			t.Errorf("%s: %s, want %s", tt.command, a.whole, tt.want)
		}
		if isError {
			mistakes++
		}
	}
	c.put(masked(rawFin|rawBinary, `{"type":"ping"}`))
	if a := c.answer("error"); a.Code != "bad_json" {
		t.Errorf("a binary frame: %s", a.whole)
	}
	mistakes++
	to.Deliver(streamed("b", 1)) // it still listens
	c.says(heard("b", 1))
	if st := n.Stats(); st.BadCommands != uint64(mistakes) || st.Channels != 1 || len(st.Closed) != 0 {
		t.Errorf("%d mistakes: %+v", mistakes, st)
	}
	if got := r.wait(within(t), 0); len(got) != 0 {
		t.Errorf("published %v", got)
	}
}

// The hundredth error is told, and is the last.
func TestJSONTooManyErrors(t *testing.T) {
	n := start(t, gateway.Options{}, newRecorder())
	c := openJSON(t, n, "/ws")
	for i := range 99 {
		c.ask(fmt.Sprintf(`{"type":"x","ref":%d}`, i))
		if a := c.answer("error"); string(a.Ref) != fmt.Sprint(i) {
			t.Fatalf("%d: %s", i, a.whole)
		}
	}
	c.ask(`{"type":"ping"}`)
	c.answer("pong")
	c.ask(`{"type":"x","ref":99}`, `{"type":"x","ref":100}`, `{"type":"ping"}`)
	if a := c.answer("error"); string(a.Ref) != "99" {
		t.Fatalf("the last one: %s", a.whole)
	}
	c.ends(1008, "too many errors")
	c.expectEnd()
}

// All in one go, beside a socket that is full or not.
func TestJSONTooManyErrorsAtOnce(t *testing.T) {
	n := start(t, gateway.Options{}, newRecorder())
	c := openJSON(t, n, "/ws")
	c.ask(strings.Split(strings.Repeat("{}\n", 500), "\n")[:500]...)
	for range 100 {
		c.answer("error")
	}
	c.ends(1008, "too many errors")
	c.expectEnd()
}

// On a node whose clients don't publish, the others do all else.
func TestJSONReadOnly(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{WebSocket: gateway.WebSocketOptions{ReadOnly: true}}, r)
	to := <-r.to
	c := openJSON(t, n, "/ws/a")
	c.answer("subscribed")
	c.ask(`{"type":"publish","channel":"a","data":1,"ref":"r"}`)
	if a := c.answer("error"); a.Code != "publishing_off" || string(a.Ref) != `"r"` {
		t.Errorf("got %s", a.whole)
	}
	to.Deliver(streamed("a", 0))
	c.says(heard("a", 0))
	c.ask(`{"type":"subscribe","channel":"b"}`)
	c.answer("subscribed")
	if got := r.wait(within(t), 0); len(got) != 0 {
		t.Errorf("published %v", got)
	}
}
