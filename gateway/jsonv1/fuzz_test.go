package jsonv1_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"warren/gateway/jsonv1"
)

// FuzzParse: whatever bytes come.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"type":"subscribe","channel":"a","since":"5-0badcafe","history":10,"ref":"r"}`,
		` { "typ\u0065" : "publish" , "channel":"","data":{"a":[1,-2.5e+7,"\ud83d\ude00",null]},"id":"i","ref":-5}`,
		`{"type":"publish","channel":"a/b","text":"\ud800\n"}`,
		`{"type":"publish","channel":"a","base64":"AP/+","data":null}`,
		`{"type":"ping","type":"ping"}`,
		`{"x":[[[[{"a":{}}]]]],"type":"unsubscribe","channel":"\u0061"}`,
		`[true,false,null]`,
	} {
		f.Add([]byte(s), uint16(16))
	}
	f.Fuzz(checkParse)
}

// FuzzCommand: the fields of a command, which FuzzParse seldom leaves whole.
func FuzzCommand(f *testing.F) {
	f.Add(`"subscribe"`, `"a"`, `"r"`, `"since"`, `"5-0badcafe"`, `"history"`, `10`, uint16(10))
	f.Add(`"publish"`, `"a\u002fb"`, `9007199254740993`, `"text"`, `"\ud83d\ude00\\"`, `"id"`, `"\n"`, uint16(10))
	f.Add(`"publish"`, `""`, `-0`, `"dat\u0061"`, ` [{"a" : 1}] `, `"base64"`, `null`, uint16(20))
	f.Add(`"publish"`, `"a"`, `null`, `"base64"`, `"AA\u003d="`, `"x"`, `[[]]`, uint16(1))
	f.Add(`"unsubscribe"`, `null`, `1.0`, `"channel"`, `1`, `"ref"`, `null`, uint16(0))
	f.Fuzz(func(t *testing.T, kind, channel, ref, name1, value1, name2, value2 string, most uint16) {
		checkParse(t, []byte(`{"type":`+kind+`,`+name1+`:`+value1+`,"ref":`+ref+`,`+name2+`:`+value2+`,"channel":`+channel+`}`), most)
	})
}

// checkParse compares Parse with the model.
func checkParse(t *testing.T, frame []byte, most uint16) {
	given := bytes.Clone(frame)
	var p jsonv1.Parser
	c, refusal := p.Parse(frame, int(most))
	if !bytes.Equal(frame, given) {
		t.Fatal("Parse changed its input")
	}
	if !utf8.Valid(frame) {
		return // the gateway has closed the connection; it was only not to panic
	}
	want, code := model(frame, int(most))
	switch {
	case refusal != nil && refusal.Code != code:
		t.Fatalf("%q: %v, want %q %s", frame, refusal, code, show(want))
	case refusal == nil && (code != "" || !equal(c, want)):
		t.Fatalf("%q: %s, want %q %s", frame, show(c), code, show(want))
	case refusal != nil && !json.Valid(jsonv1.AppendError(nil, refusal)):
		t.Fatalf("%q: %v (ref %s) can't be sent", frame, refusal, refusal.Ref)
	}
	if c.Text && !utf8.Valid(c.Payload) {
		t.Fatalf("%q: text %q is no UTF-8", frame, c.Payload)
	}

	// A parser that was used before says the same.
	again, _ := p.Parse([]byte(`{"type":"publish","channel":"\u0061","text":"\u0061\u0061\u0061\u0061"}`), 8)
	if string(again.Payload) != "aaaa" || string(again.Channel) != "a" {
		t.Fatalf("after %q: %s", frame, show(again))
	}
	if c, _ := p.Parse(frame, int(most)); !equal(c, want) {
		t.Fatalf("%q: the second time %s, want %s", frame, show(c), show(want))
	}
}

// FuzzMessage: whatever AMQP programs send.
func FuzzMessage(f *testing.F) {
	f.Add("room", "node.boot", uint64(7), []byte(`{"a":[1,-2.5e+7,"\ud83d\ude00\ud800",null]}`), true, int64(1700000000000))
	f.Add("\xff", "\"\\", uint64(0), []byte("hello \n \u2028 \x00\x7f"), true, int64(-1))
	f.Add("", "", uint64(0), []byte{0, 255}, false, int64(0))
	f.Add("", "", uint64(0), []byte(" -0.5e+5\n"), true, int64(0))
	f.Fuzz(func(t *testing.T, channel, publisher string, seq uint64, payload []byte, text bool, at int64) {
		m := jsonv1.Message{Channel: channel, Publisher: publisher, Seq: seq, Payload: payload, Text: text && utf8.Valid(payload), At: at}
		given := bytes.Clone(payload)
		checkMessage(t, jsonv1.AppendMessage(nil, &m), m)
		if !json.Valid(jsonv1.AppendDirect(nil, &m)) || !bytes.Equal(payload, given) {
			t.Fatalf("%+v goes as %s", m, jsonv1.AppendDirect(nil, &m))
		}
	})
}
