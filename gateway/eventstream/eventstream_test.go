package eventstream_test

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"warren/gateway/eventstream"
	"warren/gateway/internal/place"
)

func TestBytes(t *testing.T) {
	from, to := place.ID{Offset: 1, Check: 2}, place.ID{Offset: math.MaxUint64, Check: math.MaxUint32}
	for _, tt := range []struct {
		got  []byte
		want string
	}{
		{eventstream.AppendText([]byte(":\n\n"), 5, 0xbadcafe, []byte("hello")), ":\n\nid: 5-0badcafe\ndata: hello\n\n"},
		{eventstream.AppendText(nil, 5, 1, []byte("a\nb\r\nc\rd\n\r")), "id: 5-00000001\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: \n\n"},
		{eventstream.AppendText(nil, 5, 0, nil), "data: \n\n"},
		{eventstream.AppendText(nil, 5, 0, []byte(" a: b")), "data:  a: b\n\n"},
		{eventstream.AppendBinary(nil, 5, 1, []byte{0, 255, 254}), "id: 5-00000001\nevent: binary\ndata: AP/+\n\n"},
		{eventstream.AppendBinary(nil, 5, 0, nil), "event: binary\ndata: \n\n"},
		{eventstream.AppendGap(nil, from, to), "event: gap\ndata: {\"from\":\"1-00000002\",\"to\":\"18446744073709551615-ffffffff\"}\n\n"},
		{eventstream.AppendGap(nil, place.ID{}, to), "event: gap\ndata: {\"to\":\"18446744073709551615-ffffffff\"}\n\n"},
		{eventstream.AppendGap(nil, from, place.ID{Offset: 5}), "event: gap\ndata: {\"from\":\"1-00000002\"}\n\n"},
		{eventstream.AppendGap(nil, place.ID{}, place.ID{}), "event: gap\ndata: {}\n\n"},
		{eventstream.AppendPlace(nil, 0, 0xf), "id: 0-0000000f\n\n"},
		{eventstream.AppendPlace([]byte("x"), 5, 0), "x"},
		{eventstream.AppendRetry(nil, 3217), "retry: 3217\n\n"},
		{eventstream.AppendRetry(nil, 0), "retry: 0\n\n"},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// What a browser makes of a whole stream.
func TestStream(t *testing.T) {
	var b []byte
	b = eventstream.AppendRetry(b, 1500)
	b = eventstream.AppendPlace(b, 4, 1)
	b = eventstream.AppendText(b, 5, 1, []byte("one"))
	b = append(b, eventstream.Comment...)
	b = eventstream.AppendText(b, 6, 1, nil)
	b = eventstream.AppendGap(b, place.ID{Offset: 6, Check: 1}, place.ID{Offset: 8, Check: 1})
	b = eventstream.AppendBinary(b, 9, 1, []byte("\xff"))
	b = eventstream.AppendText(b, 0, 0, []byte("id: 1\n\nevent: x\nretry: 5\n: y"))
	b = eventstream.AppendPlace(b, 12, 1)

	c := read(b)
	want := []event{
		{"message", "one", "5-00000001"},
		{"message", "", "6-00000001"},
		{"gap", `{"from":"6-00000001","to":"8-00000001"}`, "6-00000001"},
		{"binary", "/w==", "9-00000001"},
		{"message", "id: 1\n\nevent: x\nretry: 5\n: y", "9-00000001"},
	}
	if !slices.Equal(c.events, want) {
		t.Errorf("events %q, want %q", c.events, want)
	}
	if c.lastID != "12-00000001" || c.retry != 1500 {
		t.Errorf("last id %q and retry %d, want 12-00000001 and 1500", c.lastID, c.retry)
	}
	for i := range c.events {
		if e := c.events[i]; e.name == "gap" && !json.Valid([]byte(e.data)) {
			t.Errorf("%q is no JSON", e.data)
		}
	}
}

// FuzzEvent: any payload comes out as it went in, but for its line ends.
func FuzzEvent(f *testing.F) {
	f.Add([]byte("two\nlines"), uint64(5), uint32(1))
	f.Add([]byte("\r\n\r\r\n\n"), uint64(math.MaxUint64), uint32(0))
	f.Add([]byte("\ufeffid: 5\x00\n: \u2028\u0085\v"), uint64(0), uint32(math.MaxUint32))
	f.Add([]byte{}, uint64(0), uint32(0))
	f.Add([]byte{0xff, '\n'}, uint64(1), uint32(1))
	lf := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	f.Fuzz(func(t *testing.T, payload []byte, offset uint64, check uint32) {
		given, lastID := string(payload), ""
		if check != 0 {
			lastID = string(place.ID{Offset: offset, Check: check}.Append(nil))
		}
		b := eventstream.AppendBinary(nil, offset, check, payload)
		want := []event{{"binary", base64.StdEncoding.EncodeToString(payload), lastID}}
		if utf8.Valid(payload) {
			b = eventstream.AppendText(b, offset, check, payload)
			want = append(want, event{"message", lf.Replace(given), lastID})
		}
		if c := read(b); !slices.Equal(c.events, want) || c.retry != -1 {
			t.Errorf("%q becomes %q, want %q", b, c.events, want)
		}
		if string(payload) != given {
			t.Error("the payload was changed")
		}
	})
}

// Nothing is allocated, once the buffer has grown.
func TestAllocations(t *testing.T) {
	dst := make([]byte, 0, 4096)
	payload := []byte("some text\r\nof two lines")
	for name, f := range map[string]func(){
		"text":   func() { dst = eventstream.AppendText(dst[:0], 5, 1, payload) },
		"binary": func() { dst = eventstream.AppendBinary(dst[:0], 5, 1, payload) },
		"gap": func() {
			dst = eventstream.AppendGap(dst[:0], place.ID{Offset: 5, Check: 1}, place.ID{Offset: 7, Check: 1})
		},
		"place": func() { dst = eventstream.AppendPlace(dst[:0], 5, 1) },
		"retry": func() { dst = eventstream.AppendRetry(dst[:0], 1500) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %.0f allocations", name, n)
		}
	}
}
