package request_test

import (
	"testing"

	"warren/gateway/request"
)

// BenchmarkHandshake judges what Chromium sends.
func BenchmarkHandshake(b *testing.B) {
	in := []byte(upgrade("GET /ws/room HTTP/1.1",
		"Pragma: no-cache", "Cache-Control: no-cache",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
		"Accept-Encoding: gzip, deflate, br", "Accept-Language: en-US,en;q=0.9",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"))
	var origins request.Origins
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		h, err := request.Parse(in[:request.End(in, 0)])
		if err != nil {
			b.Fatal(err)
		}
		if name, _ := request.Channel(h.Path, "/ws"); !request.ValidChannel(name) || !origins.Allow(h.Origin, h.Host) {
			b.Fatal("refused")
		}
	}
}
