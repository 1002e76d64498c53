package jsonv1_test

import (
	"strings"
	"testing"

	"warren/gateway/internal/place"
	"warren/gateway/jsonv1"
)

// Payloads of 64 bytes, and what a client sends.
var (
	text64 = []byte(strings.Repeat("some text ", 6) + "ends")
	json64 = []byte(`{"user":"anna","x":1042.5,"y":-17,"tags":["a","b"],"ok":true   }`)

	publishData = []byte(`{"type":"publish","channel":"room/1","data":` + string(json64) + `,"id":"5f3a-17","ref":17}`)
	publishText = []byte(`{"type":"publish","channel":"room\/1","text":"\u0041 text\nof two lines","ref":"17"}`)
)

func message(payload []byte, text bool) jsonv1.Message {
	return jsonv1.Message{Channel: "room/1", Offset: 1042, Check: 0x7f3a90c1, Publisher: "node-1.5f3a90c1", Seq: 1042, Payload: payload, Text: text, At: 1700000000000}
}

func BenchmarkAppendMessage(b *testing.B) {
	for _, bm := range []struct {
		name string
		m    jsonv1.Message
	}{
		{"text", message(text64, true)},
		{"json", message(json64, true)},
		{"binary", message(text64, false)},
		{"long_text", message([]byte(strings.Repeat("some text ", 1600)), true)},
		{"long_cyrillic", message([]byte(strings.Repeat("текст ", 1600)), true)},
		{"long_json", message([]byte(`["`+strings.Repeat(string(text64), 250)+`"]`), true)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.m.Payload)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = jsonv1.AppendMessage(dst[:0], &bm.m)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bm := range []struct {
		name  string
		frame []byte
	}{{"data", publishData}, {"text", publishText}} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.frame)))
			b.ReportAllocs()
			var p jsonv1.Parser
			for b.Loop() {
				if _, err := p.Parse(bm.frame, 1<<10); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Nothing is allocated, once buffers have grown.
func TestAllocations(t *testing.T) {
	var p jsonv1.Parser
	parse := func(frame string) func() {
		b := []byte(frame)
		return func() {
			if _, err := p.Parse(b, 1<<10); err != nil {
				t.Errorf("%s: %v", b, err)
			}
		}
	}
	dst := make([]byte, 0, 4096)
	text, data, binary := message(text64, true), message(json64, true), message(text64, false)
	foreign := message([]byte("a\x00 \"é😀\""), true)
	foreign.Channel, foreign.Publisher = "\xff", "\xe2\x82"
	wrong := &jsonv1.Error{Code: jsonv1.CodeBadID, Message: "no", Ref: []byte("5")}
	for name, f := range map[string]func(){
		"publish data":   parse(string(publishData)),
		"publish text":   parse(string(publishText)),
		"publish base64": parse(`{"type":"publish","channel":"a","base64":"\u0041AAA"}`),
		"subscribe":      parse(`{"type":"subscribe","channel":"a","since":"5-\u0030badcafe","history":100}`),
		"ping":           parse(`{"type":"ping","ref":"\u0041"}`),
		"message text":   func() { dst = jsonv1.AppendMessage(dst[:0], &text) },
		"message data":   func() { dst = jsonv1.AppendMessage(dst[:0], &data) },
		"message binary": func() { dst = jsonv1.AppendMessage(dst[:0], &binary) },
		"foreign":        func() { dst = jsonv1.AppendMessage(dst[:0], &foreign) },
		"direct":         func() { dst = jsonv1.AppendDirect(dst[:0], &text) },
		"welcome":        func() { dst = jsonv1.AppendWelcome(dst[:0], 7, "node", "user") },
		"subscribed":     func() { dst = jsonv1.AppendSubscribed(dst[:0], "a", 5, 7, true, wrong.Ref) },
		"unsubscribed":   func() { dst = jsonv1.AppendUnsubscribed(dst[:0], "a", wrong.Ref) },
		"ack":            func() { dst = jsonv1.AppendAck(dst[:0], wrong.Ref, "node", 5) },
		"error":          func() { dst = jsonv1.AppendError(dst[:0], wrong) },
		"gap":            func() { dst = jsonv1.AppendGap(dst[:0], "a", true, place.ID{}, place.ID{Offset: 5, Check: 7}) },
		"pong":           func() { dst = jsonv1.AppendPong(dst[:0], wrong.Ref, 5, 7) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %.0f allocations", name, n)
		}
	}
}
