package frame_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
)

// mayTravel is RFC 6455, 7.4 and the IANA registry of close codes, one by one
// where they are named.
func mayTravel(code int) bool {
	switch code {
	case 1000, // normal closure
		1001, // going away
		1002, // protocol error
		1003, // unsupported data
		1007, // invalid payload data
		1008, // policy violation
		1009, // message too big
		1010, // mandatory extension
		1011, // internal error
		1012, // service restart
		1013, // try again later
		1014: // bad gateway
		return true
	}
	// 1004 is reserved; 1005, 1006 and 1015 are never on the wire.
	return code >= 3000 && code <= 4999 // libraries, frameworks, private
}

func TestParseCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		body := binary.BigEndian.AppendUint16(nil, uint16(code))
		for _, reason := range []string{"", "a reason", "grüß 😀", strings.Repeat("r", 123)} {
			got, err := frame.ParseClose(append(body, reason...))
			var want error
			if !mayTravel(code) {
				want = frame.ErrCloseCode
			}
			if !errors.Is(err, want) || int(got) != code {
				t.Fatalf("code %d, reason %.10q: got %d, %v; want error %v", code, reason, got, err, want)
			}
		}
	}
}

func TestParseCloseBodies(t *testing.T) {
	for _, c := range []struct {
		name, body string
		code       ws.StatusCode
		err        error
	}{
		{"none", "", 0, nil},
		{"one byte", "\x03", 0, frame.ErrCloseBody},
		{"code alone", "\x03\xe8", 1000, nil},
		{"a byte that is no rune", "\x03\xe8\xff", 1000, frame.ErrCloseReason},
		{"a rune cut short", "\x03\xe8ok\xe2\x82", 1000, frame.ErrCloseReason},
		{"a surrogate", "\x03\xe8\xed\xa0\x80", 1000, frame.ErrCloseReason},
		{"wrong code and reason", "\x00\x00\xff", 0, frame.ErrCloseCode},
		{"NUL in the reason", "\x0b\xb8\x00", 3000, nil},
	} {
		code, err := frame.ParseClose([]byte(c.body))
		if code != c.code || !errors.Is(err, c.err) {
			t.Errorf("%s: got %d, %v; want %d, %v", c.name, code, err, c.code, c.err)
		}
	}
}

func TestAppendClose(t *testing.T) {
	before := []byte("before")
	for _, c := range []struct {
		name   string
		code   ws.StatusCode
		reason string
		sent   string // of the reason
	}{
		{"without a body", 0, "", ""},
		{"no code, no reason", 0, "unheard", ""},
		{"code alone", 1000, "", ""},
		{"reason", 1013, "slow consumer", "slow consumer"},
		{"longest reason", 1002, strings.Repeat("r", 123), strings.Repeat("r", 123)},
		{"too long a reason", 4999, strings.Repeat("r", 124), strings.Repeat("r", 123)},
		{"much too long a reason", 1011, strings.Repeat("r", 70_000), strings.Repeat("r", 123)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var body []byte
			if c.code != 0 {
				body = ws.NewCloseFrameBody(c.code, c.sent)
			}
			want := ws.MustCompileFrame(ws.NewCloseFrame(body))
			got := frame.AppendClose(bytes.Clone(before), c.code, c.reason)
			if !bytes.Equal(got, append(before, want...)) {
				t.Errorf("got % x, want % x behind %q", got, want, before)
			}
			if len(want) > frame.MaxControl {
				t.Errorf("%d bytes, over MaxControl", len(want))
			}
			if code, err := frame.ParseClose(want[2:]); code != c.code || err != nil {
				t.Errorf("parsed to %d, %v", code, err)
			}
		})
	}
}
