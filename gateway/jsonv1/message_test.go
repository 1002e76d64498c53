package jsonv1_test

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"warren/gateway/jsonv1"
)

func TestAppendMessage(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    jsonv1.Message
		want string
	}{
		{"text", jsonv1.Message{Channel: "a/b", Offset: 5, Check: 0xbadcafe, Publisher: "n.b", Seq: 7, Text: true, Payload: []byte("hi \"you\""), At: 1700000000000},
			`{"type":"message","channel":"a/b","id":"5-0badcafe","mid":"n.b-7","at":1700000000000,"text":"hi \"you\""}`},
		{"json", jsonv1.Message{Channel: "a", Root: true, Offset: math.MaxUint64, Check: math.MaxUint32, Publisher: "n", Seq: math.MaxUint64, Text: true, Payload: []byte("{\"a\" :\n1}"), At: 1},
			"{\"type\":\"message\",\"channel\":\"a\",\"root\":true,\"id\":\"18446744073709551615-ffffffff\",\"mid\":\"n-18446744073709551615\",\"at\":1,\"data\":{\"a\" :\n1}}"},
		{"binary", jsonv1.Message{Payload: []byte{0, 255, 254}, Publisher: "foreign"}, `{"type":"message","channel":"","mid":"foreign","at":0,"base64":"AP/+"}`},
		{"nothing", jsonv1.Message{Text: true}, `{"type":"message","channel":"","at":0,"text":""}`},
		{"foreign", jsonv1.Message{Channel: "\"\xff\n", Publisher: "\\\xc3\x28\x00\x7fé", Seq: 1, Text: true, At: -1},
			`{"type":"message","channel":"\"` + "\ufffd" + `\n","mid":"\\` + "\ufffd(" + `\u0000` + "\x7fé" + `-1","at":-1,"text":""}`},
	} {
		got := string(jsonv1.AppendMessage([]byte("before "), &tt.m))
		if got != "before "+tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if !json.Valid([]byte(tt.want)) {
			t.Errorf("%s: no JSON", tt.want)
		}
	}
}

func TestAppendDirect(t *testing.T) {
	m := jsonv1.Message{Channel: "not for clients", Offset: 5, Check: 1, Publisher: "n.b", Seq: 7, Text: true, Payload: []byte(`[1]`), At: 5}
	if got, want := string(jsonv1.AppendDirect(nil, &m)), `{"type":"direct","id":"n.b-7","data":[1]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := string(jsonv1.AppendDirect(nil, &jsonv1.Message{Payload: []byte{1}})), `{"type":"direct","base64":"AQ=="}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A payload goes as data exactly if it is JSON of at most 64 levels.
func TestPayload(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, data := range map[string]bool{
		"{}": true, "[]": true, `""`: true, "0": true, "-0": true, "null": true, "true": true, "false": true,
		" \t\r\n1 \t\r\n": true, `{"a":[{},[],"\ud800",1.5e-7,null]}`: true, `"\u00E9\/é"`: true, `"\uABCD\uEFef"`: true, "1E400": true, "\"\x7f\"": true,
		nested(64): true, nested(65): false,
		"": false, " ": false, "hello": false, "nul": false, "nullx": false, "True": false, "NaN": false, "-": false, "+1": false, "01": false,
		"-01": false, "1.": false, ".5": false, "1e": false, "1e+": false, "0x1": false, "1 2": false, "[1,]": false, "[,1]": false, "[1 2]": false,
		"[": false, "]": false, "[}": false, "{]": false, "[1}": false, `{"a":1]`: false, `[{"a":1]}`: false, `{"a"}`: false, `{"a":}`: false, `{"a":1,}`: false, `{a:1}`: false, `{"a":1 "b":2}`: false,
		`{1:1}`: false, `{,}`: false, `'a'`: false, `"a`: false, `"\x"`: false, `"\u12"`: false, `"\u123"`: false, `"\u123g"`: false, `"\u12g4"`: false, "\"\n\"": false, "\"\x00\"": false,
		"\ufeff1": false, "\u00a01": false, "\v1": false, "1\x00": false, "[]]": false, `"\`: false, "// c\n1": false,
	} {
		got := jsonv1.AppendMessage(nil, &jsonv1.Message{Text: true, Payload: []byte(text)})
		field := `"text":`
		if data {
			field = `"data":` + text + "}"
		}
		if !strings.Contains(string(got), field) || !json.Valid(got) {
			t.Errorf("%q goes as %s", text, got)
		}
	}
}

// What goes out means what came in.
func checkMessage(t *testing.T, b []byte, m jsonv1.Message) {
	t.Helper()
	var got struct {
		Type, Channel, ID, MID string
		Root                   bool
		At                     int64
		Data                   json.RawMessage
		Text                   *string
		Base64                 *string
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if got.Type != "message" || got.Root != m.Root || got.At != m.At || got.Channel != wellFormed(m.Channel) {
		t.Fatalf("%s, of channel %q, at %d", b, m.Channel, m.At)
	}
	if m.Seq == 0 && got.MID != wellFormed(m.Publisher) {
		t.Fatalf("%s, of publisher %q", b, m.Publisher)
	}
	isJSON := json.Valid(m.Payload) && depth(m.Payload) <= jsonv1.MaxDepth
	switch {
	case !m.Text:
		decoded, err := base64.StdEncoding.DecodeString(*got.Base64)
		if err != nil || string(decoded) != string(m.Payload) || got.Text != nil || got.Data != nil {
			t.Fatalf("%q goes as %s", m.Payload, b)
		}
	case isJSON:
		// A decoder leaves out the space around it.
		if string(got.Data) != strings.Trim(string(m.Payload), " \t\r\n") || got.Text != nil || got.Base64 != nil {
			t.Fatalf("%q goes as %s", m.Payload, b)
		}
	default:
		if *got.Text != string(m.Payload) || got.Data != nil || got.Base64 != nil {
			t.Fatalf("%q goes as %s", m.Payload, b)
		}
	}
}

// wellFormed has U+FFFD for each byte that is not of valid UTF-8.
func wellFormed(s string) string { return string([]rune(s)) }

// Every byte, at every place of a word and next to every kind of rune.
func TestEscape(t *testing.T) {
	for c := range 256 {
		for at := range 9 {
			for _, around := range []string{"a", "é", "😀", "\xff"} {
				s := strings.Repeat(around, at) + string([]byte{byte(c)}) + around
				m := jsonv1.Message{Channel: s, Publisher: s, Text: true, Payload: []byte(wellFormed(s))}
				checkMessage(t, jsonv1.AppendMessage(nil, &m), m)
			}
		}
	}
}
