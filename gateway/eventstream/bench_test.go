package eventstream_test

import (
	"strings"
	"testing"

	"warren/gateway/eventstream"
)

func BenchmarkAppendText(b *testing.B) {
	for _, bm := range []struct{ name, payload string }{
		{"64_bytes", strings.Repeat("some text ", 6) + "ends"},
		{"one_long_line", strings.Repeat("some text ", 1600)},
		{"short_lines", strings.Repeat("some text\n", 1600)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			payload := []byte(bm.payload)
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = eventstream.AppendText(dst[:0], 1042, 0x7f3a90c1, payload)
			}
		})
	}
}
