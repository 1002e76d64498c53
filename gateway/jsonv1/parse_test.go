package jsonv1_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"warren/gateway/jsonv1"
)

// maxPayload is what most tests allow.
const maxPayload = 64

// equal compares all, nil and empty apart where the difference has a meaning.
func equal(a, b jsonv1.Command) bool {
	return a.Kind == b.Kind && same(a.Ref, b.Ref) && bytes.Equal(a.Channel, b.Channel) && same(a.Since, b.Since) && a.History == b.History &&
		same(a.ID, b.ID) && bytes.Equal(a.Payload, b.Payload) && a.Text == b.Text
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// parse fails the test if the frame was changed.
func parse(t *testing.T, p *jsonv1.Parser, frame string, most int) (jsonv1.Command, *jsonv1.Error) {
	t.Helper()
	b := []byte(frame)
	c, err := p.Parse(b, most)
	if string(b) != frame {
		t.Fatalf("%s was changed to %s", frame, b)
	}
	return c, err
}

func TestParse(t *testing.T) {
	subscribe := func(channel string) jsonv1.Command {
		return jsonv1.Command{Kind: jsonv1.Subscribe, Channel: []byte(channel), History: -1}
	}
	publish := func(payload string) jsonv1.Command {
		return jsonv1.Command{Kind: jsonv1.Publish, Channel: []byte("a"), History: -1, Payload: []byte(payload), Text: true}
	}
	binary := func(payload string) jsonv1.Command {
		c := publish(payload)
		c.Text = false
		return c
	}
	with := func(c jsonv1.Command, change func(c *jsonv1.Command)) jsonv1.Command {
		change(&c)
		return c
	}
	ping := func(ref string) jsonv1.Command {
		c := jsonv1.Command{Kind: jsonv1.Ping, History: -1}
		if ref != "" {
			c.Ref = []byte(ref)
		}
		return c
	}
	id128 := strings.Repeat("i", jsonv1.MaxID)
	ref64 := `"` + strings.Repeat("r", jsonv1.MaxRef) + `"`
	channel200 := strings.Repeat("c", 200)

	tests := []struct {
		frame string
		want  jsonv1.Command
	}{
		{`{"type":"subscribe","channel":"a"}`, subscribe("a")},
		{`{"type":"subscribe","channel":""}`, subscribe("")},
		{`{"channel":"a/b.c","type":"subscribe"}`, subscribe("a/b.c")},
		{`{"type":"subscribe","channel":"` + channel200 + `"}`, subscribe(channel200)},
		{"\r\n\t {\n\"type\"\t:\r\"subscribe\" , \"channel\" : \"a\" \n} \r\n", subscribe("a")},
		{`{"typ\u0065":"subscrib\u0065","\u0063\u0068\u0061\u006e\u006e\u0065\u006c":"\u0061\/b"}`, subscribe("a/b")},
		{`{"type":"subscribe","channel":"a","since":"1042-7f3a90c1","history":100}`, with(subscribe("a"), func(c *jsonv1.Command) {
			c.Since, c.History = []byte("1042-7f3a90c1"), 100
		})},
		{`{"type":"subscribe","channel":"a","since":"","history":0}`, with(subscribe("a"), func(c *jsonv1.Command) {
			c.Since, c.History = []byte{}, 0
		})},
		{`{"type":"subscribe","channel":"a","since":"\u0035-\n\ud83d\ude00","history":999999999}`, with(subscribe("a"), func(c *jsonv1.Command) {
			c.Since, c.History = []byte("5-\n😀"), 999999999
		})},
		{`{"type":"subscribe","channel":"a","since":null,"history":null,"ref":null}`, subscribe("a")},
		{`{"type":"subscribe","channel":"a","data":[1,2],"text":5,"id":{},"x":"\ud800","\udc00":1,"type2":2,"` + strings.Repeat("n", 300) + `":1}`, subscribe("a")},
		{`{"type":"subscribe","channel":"a","Type":1,"TYPE":2,"":3,"":4}`, subscribe("a")},
		{`{"type":"unsubscribe","channel":"a","since":5,"ref":"\u00e9"}`, with(subscribe("a"), func(c *jsonv1.Command) {
			c.Kind, c.Ref = jsonv1.Unsubscribe, []byte(`"\u00e9"`)
		})},

		{`{"type":"publish","channel":"a","data":{"b": [1, "\ud800", null ] }}`, publish(`{"b": [1, "\ud800", null ] }`)},
		{`{"data" :` + "\n" + ` -0.5E+3 ,"type":"publish","channel":"a"}`, publish(`-0.5E+3`)},
		{`{"type":"publish","channel":"a","data":"é\n"}`, publish(`"é\n"`)},
		{`{"type":"publish","channel":"a","data":null}`, publish(`null`)},
		{`{"type":"publish","channel":"a","data":null,"text":"x","base64":null}`, publish(`x`)},
		{`{"type":"publish","channel":"a","data":null,"text":null,"base64":null}`, publish(`null`)},
		{`{"type":"publish","channel":"a","data":false,"text":null}`, publish(`false`)},
		{`{"type":"publish","channel":"a","text":""}`, publish(``)},
		{`{"type":"publish","channel":"a","text":"plain é 😀"}`, publish(`plain é 😀`)},
		{`{"type":"publish","channel":"a","text":"\"\\\/\b\f\n\r\t\u0000\u00E9\ud83d\uDE00\u2028"}`, publish("\"\\/\b\f\n\r\t\x00é😀\u2028")},
		{`{"type":"publish","channel":"a","text":"\\ud800"}`, publish(`\ud800`)},
		{`{"type":"publish","channel":"\u0061","text":"b\u0062b","id":"c\u0063c"}`, with(publish("bbb"), func(c *jsonv1.Command) { c.ID = []byte("ccc") })},
		{`{"type":"publish","channel":"a","text":"x","id":"` + id128 + `"}`, with(publish("x"), func(c *jsonv1.Command) { c.ID = []byte(id128) })},
		{`{"type":"publish","channel":"a","text":"x","id":null,"ref":1}`, with(publish("x"), func(c *jsonv1.Command) { c.Ref = []byte("1") })},
		{`{"type":"publish","channel":"","text":"x"}`, with(publish("x"), func(c *jsonv1.Command) { c.Channel = nil })},
		{`{"type":"publish","channel":"a","base64":""}`, binary("")},
		{`{"type":"publish","channel":"a","base64":"AP/+"}`, binary("\x00\xff\xfe")},
		{`{"type":"publish","channel":"a","base64":"\u0041P\/+"}`, binary("\x00\xff\xfe")},
		{`{"type":"publish","channel":"a","base64":"AA=="}`, binary("\x00")},
		{`{"type":"publish","channel":"a","text":"` + strings.Repeat("x", maxPayload) + `"}`, publish(strings.Repeat("x", maxPayload))},
		{`{"type":"publish","channel":"a","text":"` + strings.Repeat(`\u00e9`, maxPayload/2) + `"}`, publish(strings.Repeat("é", maxPayload/2))},

		{`{"type":"ping"}`, ping("")},
		{`{"type":"ping","ref":""}`, ping(`""`)},
		{`{"type":"ping","ref":0}`, ping("0")},
		{`{"type":"ping","ref":-0}`, ping("-0")},
		{`{"type":"ping","ref":9007199254740992}`, ping("9007199254740992")},
		{`{"type":"ping","ref":-9007199254740992}`, ping("-9007199254740992")},
		{`{"type":"ping","ref":` + ref64 + `}`, ping(ref64)},
		{`{"type":"ping","channel":5}`, ping("")},
	}
	var p jsonv1.Parser
	for _, tt := range tests {
		got, err := parse(t, &p, tt.frame, maxPayload)
		if err != nil {
			t.Errorf("%s: %v", tt.frame, err)
		} else if !equal(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.frame, show(got), show(tt.want))
		}
		if want, code := model([]byte(tt.frame), maxPayload); code != "" || !equal(want, tt.want) {
			t.Errorf("%s: the model says %q %s", tt.frame, code, show(want))
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		frame, code, message string
		ref                  string
	}{
		{"", jsonv1.CodeBadJSON, "ends too early", ""},
		{`{"type":"ping"`, jsonv1.CodeBadJSON, "ends too early", ""},
		{`{"type":"ping",}`, jsonv1.CodeBadJSON, "byte 16", ""},
		{`{"type":"ping"}{}`, jsonv1.CodeBadJSON, "byte 16", ""},
		{"{\"type\":\"ping\"}\x00", jsonv1.CodeBadJSON, "byte 16", ""},
		{"\ufeff{\"type\":\"ping\"}", jsonv1.CodeBadJSON, "byte 1", ""},
		{"{\"type\":\"pi\tng\"}", jsonv1.CodeBadJSON, "byte 12", ""},
		{`[{"type":"ping"}]`, jsonv1.CodeBadJSON, "one JSON object", ""},
		{`"ping"`, jsonv1.CodeBadJSON, "one JSON object", ""},
		{`null`, jsonv1.CodeBadJSON, "one JSON object", ""},
		{`{"type":"ping","ref":"r","x":}`, jsonv1.CodeBadJSON, "byte 30", ""},
		{`{"type":"ping","type":"ping","x":01}`, jsonv1.CodeBadJSON, "byte 35", ""},
		{`{"type":"ping","ref":"\ud800"}`, jsonv1.CodeBadJSON, "surrogate", ""},
		{`{"type":"publish","channel":"a","text":"\ude00\ud83d","ref":1}`, jsonv1.CodeBadJSON, "surrogate", "1"},
		{`{"type":"publish","channel":"a","text":"\ud83d\u0041","ref":1}`, jsonv1.CodeBadJSON, "surrogate", "1"},
		{`{"type":"publish","channel":"a","text":"\ud83d\nde00","ref":1}`, jsonv1.CodeBadJSON, "surrogate", "1"},
		{`{"type":"publish","channel":"a","text":"\ud83dxude00","ref":1}`, jsonv1.CodeBadJSON, "surrogate", "1"},
		{`{"type":"publish","channel":"a","text":"x","id":"\ud83d"}`, jsonv1.CodeBadJSON, "surrogate", ""},
		{`{"type":"publish","channel":"a","base64":"\ud83d"}`, jsonv1.CodeBadJSON, "surrogate", ""},
		{`{"type":"subscribe","channel":"\ud83d"}`, jsonv1.CodeBadJSON, "surrogate", ""},
		{`{"type":"subscribe","channel":"a","since":"\ud83d"}`, jsonv1.CodeBadJSON, "surrogate", ""},
		{`{"type":"pin\udddd"}`, jsonv1.CodeBadJSON, "surrogate", ""},

		{`{}`, jsonv1.CodeBadMessage, "no type", ""},
		{`{"type":null,"ref":7}`, jsonv1.CodeBadMessage, "no type", "7"},
		{`{"type":7}`, jsonv1.CodeBadMessage, "type", ""},
		{`{"ref":"é","type":"pong"}`, jsonv1.CodeBadMessage, "unknown type", `"é"`},
		{`{"type":"Ping"}`, jsonv1.CodeBadMessage, "unknown type", ""},
		{`{"type":"ping","type":"ping","ref":7}`, jsonv1.CodeBadMessage, "field type twice", "7"},
		{`{"type":"ping","r\u0065f":7,"ref":7}`, jsonv1.CodeBadMessage, "field ref twice", ""},
		{`{"type":"ping","ref":7,"text":null,"text":null}`, jsonv1.CodeBadMessage, "field text twice", "7"},
		{`{"type":"ping","text":1,"text":2,"text":3}`, jsonv1.CodeBadMessage, "field text twice", ""},
		{`{"type":"ping","ref":1.0}`, jsonv1.CodeBadMessage, "bad ref", ""},
		{`{"type":"ping","ref":1e3}`, jsonv1.CodeBadMessage, "bad ref", ""},
		{`{"type":"ping","ref":true}`, jsonv1.CodeBadMessage, "bad ref", ""},
		{`{"type":"ping","ref":[]}`, jsonv1.CodeBadMessage, "bad ref", ""},
		{`{"type":"ping","ref":9007199254740993}`, jsonv1.CodeBadMessage, "bad ref", ""},
		{`{"type":"ping","ref":-9007199254740993}`, jsonv1.CodeBadMessage, "bad ref", ""},
		{`{"type":"ping","ref":10000000000000000}`, jsonv1.CodeBadMessage, "bad ref", ""},
		{`{"type":"ping","ref":"` + strings.Repeat("r", jsonv1.MaxRef+1) + `"}`, jsonv1.CodeBadMessage, "bad ref", ""},
		{`{"type":"subscribe","ref":1}`, jsonv1.CodeBadMessage, "no channel", "1"},
		{`{"type":"unsubscribe","channel":null}`, jsonv1.CodeBadMessage, "no channel", ""},
		{`{"type":"publish","channel":5,"text":"x"}`, jsonv1.CodeBadMessage, "bad channel", ""},
		{`{"type":"subscribe","channel":"a b","ref":1}`, jsonv1.CodeBadChannel, "no such channel", "1"},
		{`{"type":"subscribe","channel":"/a"}`, jsonv1.CodeBadChannel, "no such channel", ""},
		{`{"type":"unsubscribe","channel":"` + strings.Repeat("c", 201) + `"}`, jsonv1.CodeBadChannel, "no such channel", ""},
		{`{"type":"subscribe","channel":"a","since":5}`, jsonv1.CodeBadMessage, "bad since", ""},
		{`{"type":"subscribe","channel":"a","history":"5"}`, jsonv1.CodeBadMessage, "bad history", ""},
		{`{"type":"subscribe","channel":"a","history":-1}`, jsonv1.CodeBadMessage, "bad history", ""},
		{`{"type":"subscribe","channel":"a","history":1.0}`, jsonv1.CodeBadMessage, "bad history", ""},
		{`{"type":"subscribe","channel":"a","history":1000000000}`, jsonv1.CodeBadMessage, "bad history", ""},
		{`{"type":"publish","channel":"a"}`, jsonv1.CodeBadMessage, "one of", ""},
		{`{"type":"publish","channel":"a","text":null,"base64":null}`, jsonv1.CodeBadMessage, "one of", ""},
		{`{"type":"publish","channel":"a","data":1,"text":"x"}`, jsonv1.CodeBadMessage, "one of", ""},
		{`{"type":"publish","channel":"a","data":1,"base64":""}`, jsonv1.CodeBadMessage, "one of", ""},
		{`{"type":"publish","channel":"a","text":"","base64":""}`, jsonv1.CodeBadMessage, "one of", ""},
		{`{"type":"publish","channel":"a","text":5}`, jsonv1.CodeBadMessage, "bad text", ""},
		{`{"type":"publish","channel":"a","text":"x","id":5}`, jsonv1.CodeBadMessage, "bad id", ""},
		{`{"type":"publish","channel":"a","text":"x","id":""}`, jsonv1.CodeBadMessage, "bad id", ""},
		{`{"type":"publish","channel":"a","text":"x","id":"` + strings.Repeat("i", jsonv1.MaxID+1) + `"}`, jsonv1.CodeBadMessage, "bad id", ""},
		{`{"type":"publish","channel":"a","base64":5}`, jsonv1.CodeBadMessage, "bad base64", ""},
		{`{"type":"publish","channel":"a","base64":"AA"}`, jsonv1.CodeBadMessage, "bad base64", ""},
		{`{"type":"publish","channel":"a","base64":"AB=="}`, jsonv1.CodeBadMessage, "bad base64", ""},
		{`{"type":"publish","channel":"a","base64":"A-_A"}`, jsonv1.CodeBadMessage, "bad base64", ""},
		{`{"type":"publish","channel":"a","base64":"AAAA\n"}`, jsonv1.CodeBadMessage, "bad base64", ""},
		{`{"type":"publish","channel":"a","base64":"AAAA\r"}`, jsonv1.CodeBadMessage, "bad base64", ""},
		{`{"type":"publish","channel":"a","base64":"AA\r\nAA"}`, jsonv1.CodeBadMessage, "bad base64", ""},
		{`{"type":"publish","channel":"a","base64":"AA==AA=="}`, jsonv1.CodeBadMessage, "bad base64", ""},
		{`{"type":"publish","channel":"a","ref":1,"text":"` + strings.Repeat("x", maxPayload+1) + `"}`, jsonv1.CodeTooLarge, "65 bytes", "1"},
		{`{"type":"publish","channel":"a","data":"` + strings.Repeat("x", maxPayload-1) + `"}`, jsonv1.CodeTooLarge, "65 bytes", ""},
		{`{"type":"publish","channel":"a","base64":"` + strings.Repeat("AAAA", maxPayload/3+1) + `"}`, jsonv1.CodeTooLarge, "66 bytes", ""},
	}
	var p jsonv1.Parser
	for _, tt := range tests {
		c, err := parse(t, &p, tt.frame, maxPayload)
		switch {
		case err == nil:
			t.Errorf("%s is taken: %s", tt.frame, show(c))
		case err.Code != tt.code || !strings.Contains(err.Message, tt.message) || string(err.Ref) != tt.ref:
			t.Errorf("%s: %s (ref %s), want %s with %q (ref %s)", tt.frame, err, err.Ref, tt.code, tt.message, tt.ref)
		case !equal(c, jsonv1.Command{}):
			t.Errorf("%s: %v, but also %s", tt.frame, err, show(c))
		}
		if _, code := model([]byte(tt.frame), maxPayload); code != tt.code {
			t.Errorf("%s: the model says %q", tt.frame, code)
		}
	}
}

// A frame may be nested MaxDepth deep. One that is deeper costs no memory.
func TestParseDepth(t *testing.T) {
	var p jsonv1.Parser
	for _, brackets := range []string{"[]", "{}"} {
		nested := func(n int) string { // so many containers in one another
			opening, closing := brackets[:1], brackets[1:]
			if brackets == "{}" {
				opening = `{"a":`
			}
			return strings.Repeat(opening, n-1) + brackets + strings.Repeat(closing, n-1)
		}
		frame := func(n int) string { return `{"type":"publish","channel":"a","data":` + nested(n-1) + `}` }

		c, err := parse(t, &p, frame(jsonv1.MaxDepth), 1<<20)
		if err != nil || string(c.Payload) != nested(jsonv1.MaxDepth-1) {
			t.Errorf("%s, %d deep: %v", brackets, jsonv1.MaxDepth, err)
		}
		for _, n := range []int{jsonv1.MaxDepth + 1, 2 * jsonv1.MaxDepth, 100_000} {
			if _, err := parse(t, &p, frame(n), 1<<20); err == nil || err.Code != jsonv1.CodeBadJSON || !strings.Contains(err.Message, "64 deep") {
				t.Errorf("%s, %d deep: %v", brackets, n, err)
			}
		}
	}
	// What is unknown has the same bounds.
	frame := []byte(`{"type":"ping","x":` + strings.Repeat("[", 1<<20))
	if n := testing.AllocsPerRun(10, func() {
		if _, err := p.Parse(frame, 0); err == nil {
			t.Error("1 Mi brackets are taken")
		}
	}); n > 5 {
		t.Errorf("%.0f allocations", n)
	}
}

// Siblings are not depth, however many.
func TestParseWide(t *testing.T) {
	var p jsonv1.Parser
	data := "[" + strings.Repeat(`[{"a":[]},{}],`, 10_000) + "[]]"
	c, err := parse(t, &p, `{"type":"publish","channel":"a","data":`+data+`}`, len(data))
	if err != nil || string(c.Payload) != data {
		t.Errorf("%v, %d bytes of %d", err, len(c.Payload), len(data))
	}
}

// A parser keeps what one frame needs, however many it has read.
func TestParserMemory(t *testing.T) {
	var p jsonv1.Parser
	const size = 10_000
	frame := []byte(`{"type":"publish","channel":"a","text":"` + strings.Repeat(`\u0041`, size) + `"}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 300 {
		if _, err := p.Parse(frame, size); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 100*size {
		t.Errorf("%d bytes allocated", n)
	}
}
