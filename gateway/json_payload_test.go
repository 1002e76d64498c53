package gateway_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"warren/gateway"
)

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// What goes in comes out: as data byte for byte, as text, or as binary; to
// clients of JSON and to raw ones; from both.
func TestJSONPayloads(t *testing.T) {
	n := start(t, gateway.Options{}, nil)
	c, raw := openJSON(t, n, "/ws/room"), openRaw(t, n, "/ws/room")
	c.answer("subscribed")
	raw.put(masked(rawFin|rawPing, "")) // it is there
	raw.expectFrame(rawFin|rawPong, "")
	all := &strings.Builder{}
	for i := range 0x180 {
		if i < 0x20 || i > 0x7e {
			fmt.Fprintf(all, `\u%04x`, i)
		}
	}
	bytes := make([]byte, 256)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	in64 := base64.StdEncoding.EncodeToString(bytes)
	for _, tt := range []struct {
		field, value string // as it is published
		first        byte
		payload      string // what raw clients get
		back, as     string // what clients of JSON get; empty: the same
	}{
		{"data", `{"a" :[ 1,2 ]  }`, rawText, `{"a" :[ 1,2 ]  }`, "", ""},
		{"data", "[\n\t9007199254740993, 1E400,-0.10 ]", rawText, "[\n\t9007199254740993, 1E400,-0.10 ]", "", ""},
		{"data", `null`, rawText, `null`, "", ""},
		{"data", `"\u00e9\/\ud83d\ude00"`, rawText, `"\u00e9\/\ud83d\ude00"`, "", ""},
		{"data", `"\ud800"`, rawText, `"\ud800"`, "", ""}, // no surrogate of ours
		{"data", nested(63), rawText, nested(63), "", ""},
		{"text", `"` + strings.ReplaceAll(nested(64), `"`, `\"`) + `"`, rawText, nested(64), "data", nested(64)},
		{"text", `"` + nested(65) + `"`, rawText, nested(65), "", ""},
		{"text", `"hello \"\\\/\b\f\n\r\t\u2028\u0000 é😀\ud83d\ude00"`, rawText, "hello \"\\/\b\f\n\r\t\u2028\x00 é😀😀", "text", `"hello \"\\/\u0008\u000c\n\r\t` + "\u2028" + `\u0000 é😀😀"`},
		{"text", `"12"`, rawText, `12`, "data", `12`},
		{"text", `" {} "`, rawText, ` {} `, "data", ` {} `},
		{"text", `""`, rawText, ``, "", ""},
		{"text", `"{"`, rawText, `{`, "", ""},
		{"base64", `""`, rawBinary, ``, "", ""},
		{"base64", `"` + in64 + `"`, rawBinary, string(bytes), "", ""},
		{"base64", `"\u0041Q\u003d="`, rawBinary, "\x01", "base64", `"AQ=="`},
		{"base64", `"eyJhIjoxfQ=="`, rawBinary, `{"a":1}`, "", ""},
	} {
		want := `"` + tt.field + `":` + tt.value + "}"
		if tt.as != "" {
			want = `"` + tt.back + `":` + tt.as + "}"
		}
		c.ask(`{"` + tt.field + `":` + tt.value + `,"channel":"room","type":"publish"}`)
		raw.expectFrame(rawFin|tt.first, tt.payload)
		fromJSON := c.answer("message")
		raw.put(masked(rawFin|tt.first, tt.payload))
		raw.expectFrame(rawFin|tt.first, tt.payload)
		fromRaw := c.answer("message")
		for from, a := range map[string]answer{"JSON": fromJSON, "raw": fromRaw} {
			if !strings.HasSuffix(a.whole, want) || a.Channel != "room" || a.MID == "" || a.At == 0 {
				t.Errorf("%s %s from %s: %s", tt.field, tt.value, from, a.whole)
			}
		}
	}
	// Every escape, and back.
	c.ask(`{"text":"` + all.String() + `","channel":"room","type":"publish"}`)
	_, text := raw.frame()
	if a := c.answer("message"); *a.Text != text || len(text) < 0x180-95 {
		t.Errorf("%q comes as %s", text, a.whole)
	}
}

// A payload may have exactly max_message_size, however it is put; a frame that
// can't hold one is closed over.
func TestJSONLargest(t *testing.T) {
	const max = 9000
	o := gateway.Options{WebSocket: gateway.WebSocketOptions{MaxMessageSize: max}}
	r := newRecorder()
	n := start(t, o, r)
	c := openJSON(t, n, "/ws")
	published := 0
	for i, size := range []int{max, max + 1} {
		for _, payload := range []string{
			`"data":"` + strings.Repeat("d", size-2) + `"`,
			`"text":"` + strings.Repeat("t", size) + `"`,
			`"text":"` + strings.Repeat(`\n`, size) + `"`,
			`"base64":"` + base64.StdEncoding.EncodeToString(make([]byte, size)) + `"`,
		} {
			c.ask(`{"type":"publish","channel":"room",` + payload + "}")
			if i == 1 {
				if a := c.answer("error"); a.Code != "too_large" {
					t.Errorf("%d bytes: %.100s", size, a.whole)
				}
				continue
			}
			published++
			if got := r.wait(within(t), published); len(got) != published || len(got[published-1].Payload) != max {
				t.Fatalf("%d bytes: %d published", size, len(got))
			}
		}
	}
	const room = 2*max + 4096
	ping := `{"type":"ping"` + strings.Repeat(" ", room-len(`{"type":"ping"}`)) + "}"
	c.ask(ping)
	c.answer("pong")
	c.put(masked(rawText, ping[:max]), masked(rawCont, ping[max:2*max]), masked(rawFin, ping[2*max:]))
	c.answer("pong")
	for _, frames := range [][]string{{masked(rawFin|rawText, ping+" ")}, {masked(rawText, ping[:max]), masked(rawFin, ping[max:]+" ")}} {
		c := openJSON(t, n, "/ws")
		c.put(frames...)
		c.ends(1009, "message over 9000 bytes")
		c.expectEnd()
	}
	if got := r.wait(within(t), 0); len(got) != published {
		t.Errorf("%d published", len(got))
	}
}

// What is too large as JSON for clients.max_lag is a gap, live and from the
// past; others get it.
func TestJSONTooLargeToSay(t *testing.T) {
	const maxLag = 64 << 10
	o := keeping(100)
	o.Clients.MaxLag = maxLag
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	raw := openRaw(t, n, "/ws/room")
	live, root, sse := openJSON(t, n, "/ws/room"), openJSON(t, n, "/ws"), openEvents(t, n, "/sse/room")
	live.answer("subscribed")
	root.ask(`{"type":"subscribe","channel":""}`)
	root.answer("subscribed")
	sse.event()
	large := strings.Repeat("\x01", maxLag/4) // six times as long, escaped
	fits := strings.Repeat("x", maxLag/4)
	to.Deliver(streamed("room", 0))
	for i, payload := range []string{large, fits} {
		m := streamed("room", 1+i)
		m.Payload = []byte(payload)
		to.Deliver(m)
	}
	to.Deliver(streamed("room", 3))
	raw.expectFrame(rawFin|rawText, "0")
	raw.expectFrame(rawFin|rawText, large)
	raw.expectFrame(rawFin|rawText, fits)
	raw.expectFrame(rawFin|rawText, "3")
	said := strings.TrimSuffix(heard("room", 2), "2}")
	said = said[:strings.LastIndex(said, `"data"`)] + `"text":"` + fits + `"}`
	gap := fmt.Sprintf(`{"type":"gap","channel":"room","to":"%v"}`, streamID(1))
	live.says(heard("room", 0), gap, said, heard("room", 3))
	past := openJSON(t, n, "/ws/room?history=9")
	past.answer("subscribed")
	past.says(heard("room", 0), gap, said, heard("room", 3))
	root.says(heardAtRoot("room", 0), fmt.Sprintf(`{"type":"gap","channel":"","root":true,"to":"%v"}`, streamID(1)),
		strings.Replace(said, `","id"`, `","root":true,"id"`, 1), heardAtRoot("room", 3))
	sse.expect(event{id: streamID(0).String(), data: "0"}, event{id: streamID(1).String(), data: large}, event{id: streamID(2).String(), data: fits}, event{id: streamID(3).String(), data: "3"})
	if st := n.Stats(); st.Oversize != 3 || st.Evicted != 0 {
		t.Errorf("%d are counted, %+v", st.Oversize, st)
	}
}
