package utf8check_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"warren/gateway/utf8check"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWriteByteByByte(t *testing.T) {
	for _, c := range []struct {
		name, in string
		fails    int // the byte it must fail at; -1: none
		complete bool
	}{
		{"empty", "", -1, true},
		{"ASCII", "warren\x00\x7f", -1, true},
		{"two bytes", "\u0080é\u07ff", -1, true},
		{"three bytes", "\u0800€\ud7ff\ue000\uffff", -1, true},
		{"four bytes", "\U00010000😀\U0010ffff", -1, true},
		{"replacement character", "\ufffd", -1, true},
		{"cut in two", "a\xc3", -1, false},
		{"cut in three", "a\xe2\x82", -1, false},
		{"cut in four", "a\xf0\x9f\x98", -1, false},
		{"continuation first", "a\x80", 1, false},
		{"overlong slash", "\xc0\xaf", 0, false},
		{"overlong two", "\xc1\xbf", 0, false},
		{"overlong three", "\xe0\x9f\xbf", 1, false},
		{"overlong four", "\xf0\x8f\xbf\xbf", 1, false},
		{"first surrogate", "\xed\xa0\x80", 1, false},
		{"last surrogate", "\xed\xbf\xbf", 1, false},
		{"over U+10FFFF", "\xf4\x90\x80\x80", 1, false},
		{"five bytes", "\xf8\x88\x80\x80\x80", 0, false},
		{"FF", "\xff", 0, false},
		{"ASCII inside two", "\xc3a", 1, false},
		{"ASCII inside three", "\xe2\x82a", 2, false},
		{"ASCII inside four", "\xf0\x9f\x98a", 3, false},
		{"start inside three", "\xe2\xe2\x82\xac", 1, false},
		{"as the Autobahn suite's 6.4", "κόσμε\xf4\x90\x80\x80edited", len("κόσμε") + 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v utf8check.Validator
			for i := range len(c.in) {
				ok := v.Write([]byte{c.in[i]})
				if failed := c.fails >= 0 && i >= c.fails; ok == failed {
					t.Fatalf("byte %d: %v", i, ok)
				}
			}
			if v.Complete() != c.complete {
				t.Errorf("complete: %v", v.Complete())
			}
			if ok := new(utf8check.Validator).Write([]byte(c.in)); ok != (c.fails < 0) {
				t.Errorf("at once: %v", ok)
			}
			v.Reset()
			if !v.Complete() || !v.Write([]byte("€")) || !v.Complete() {
				t.Error("not as new after Reset")
			}
		})
	}
}

func TestWriteNothing(t *testing.T) {
	var v utf8check.Validator
	if !v.Write([]byte("\xe2\x82")) || !v.Write(nil) || v.Complete() || !v.Write([]byte("\xac")) || !v.Complete() {
		t.Error("an empty chunk within a rune is not harmless")
	}
	if v.Write([]byte("\xff")) || v.Write(nil) || v.Complete() {
		t.Error("failure does not last")
	}
}

func TestNoAllocation(t *testing.T) {
	text := []byte(strings.Repeat("naïve €😀 ", 100))
	if n := testing.AllocsPerRun(100, func() {
		var v utf8check.Validator
		for i := 0; i < len(text); i += 7 {
			if !v.Write(text[i:min(i+7, len(text))]) {
				t.Fatal("refused")
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzValidator cuts b into chunks whose sizes are the bytes of cuts.
func FuzzValidator(f *testing.F) {
	for _, s := range []string{"", "plain", "κόσμε €😀", "\xf4\x90\x80", "\xed\xa0\x80", "a\xf0\x9f\x98", "\xe2\x82\xac\xc0"} {
		f.Add([]byte(s), []byte{1, 0, 2})
	}
	f.Fuzz(func(t *testing.T, b, cuts []byte) {
		bad := firstBad(b)
		var v utf8check.Validator
		for at := 0; at < len(b); {
			size := len(b) - at
			if len(cuts) > 0 {
				size, cuts = min(size, int(cuts[0])), cuts[1:]
			}
			at += size
			if got, want := v.Write(b[at-size:at]), at <= bad; got != want {
				t.Fatalf("%q: %v, but byte %d is the first bad one", b[:at], got, bad)
			}
		}
		if got := v.Complete(); got != utf8.Valid(b) {
			t.Fatalf("%q: complete %v", b, got)
		}
	})
}

// firstBad is the index of the first byte with which no continuation is valid,
// or len(b). It tries them out.
func firstBad(b []byte) int {
	start := 0 // of the rune that the byte belongs to
	for i := range b {
		if utf8.Valid(b[start : i+1]) {
			start = i + 1
		} else if !extensible(b[start:i+1], utf8.UTFMax) {
			return i
		}
	}
	return len(b)
}

// extensible says whether some bytes more, max in all, make valid UTF-8. The
// ones it tries lie in each of the ranges that Unicode's table 3-7 tells apart.
func extensible(b []byte, max int) bool {
	if len(b) >= max {
		return false
	}
	for _, c := range []byte{0x80, 0x90, 0xa0} {
		longer := append(b[:len(b):len(b)], c)
		if utf8.Valid(longer) || extensible(longer, max) {
			return true
		}
	}
	return false
}

func BenchmarkWrite(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"ascii", strings.Repeat("a", 4096)},
		{"mixed", strings.Repeat("naïve €😀 ", 256)},
	} {
		b.Run(c.name, func(b *testing.B) {
			text := []byte(c.text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var v utf8check.Validator
			for b.Loop() {
				if !v.Write(text) {
					b.Fatal("refused")
				}
			}
		})
	}
}
