package request_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"

	"warren/gateway/request"
)

// FuzzHead: whatever bytes come, split anywhere.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		upgrade("GET /ws/room?a=1 HTTP/1.1"),
		upgrade("GET http://[::1]:80/ws HTTP/1.1", "Connection: keep-alive, Upgrade"),
		upgrade("GET http://a?b HTTP/1.1", "-Origin"),
		upgrade(getRoom, "Sec-WebSocket-Version: 8", "X: a\nb"),
		upgrade(getRoom, "connection: upgrade", "Sec-WebSocket-Protocol: a, b"),
		head("GET /readyz HTTP/1.0"),
		head("POST / HTTP/1.1", "Host: a", "Content-Length: 1") + "x",
		head("OPTIONS * HTTP/1.1", "Host: a", "Upgrade: h2c"),
		head("GET / HTTP/1.0", "X-Forwarded-For: ::1, x", "Forwarded: for=a", "x-forwarded-proto:\thttps ", "X:", "forwarded: \""),
		"GET / HTTP/1.1\nHost: a\n\n",
	} {
		f.Add([]byte(s), uint16(len(s)/2))
	}
	f.Fuzz(func(t *testing.T, b []byte, split uint16) {
		end := request.End(b, 0)
		if at := min(int(split), len(b)); request.End(b[:at], 0) == 0 {
			if again := request.End(b, at); again != end {
				t.Fatalf("end %d, but %d from %d on", end, again, at)
			}
		}
		if end > 0 {
			checkVerdict(t, b[:end])
		}
		request.Parse(b) // whole or not, it must not panic
	})
}

// FuzzHandshake: the fields of an opening handshake, which FuzzHead seldom
// leaves whole.
func FuzzHandshake(f *testing.F) {
	f.Add("/ws/room", "example.com", "websocket", "Upgrade", key, "13", "X: y")
	f.Add("http://[::1]:80/ws?q", "[::1]", "WebSocket", "keep-alive, , upgrade", key, "13", "Sec-WebSocket-Protocol: a, b")
	f.Add("https://a.b:1/%41", "a:", "websocket", "\tupgrade,a", "AAAAAAAAAAAAAAAAAAAAAA==", "13", "Sec-WebSocket-Extensions: permessage-deflate; x=\"y\"")
	f.Fuzz(func(t *testing.T, target, host, upgrade, connection, key, version, extra string) {
		checkVerdict(t, []byte(head("GET "+target+" HTTP/1.1", "Host: "+host, "Upgrade: "+upgrade, "Connection: "+connection,
			"Sec-WebSocket-Key: "+key, "Sec-WebSocket-Version: "+version, extra)))
	})
}

// checkVerdict compares Parse with ws.Upgrader and net/http, which come after it.
func checkVerdict(t *testing.T, b []byte) {
	given := string(b)
	h, refusal := request.Parse(b)
	if string(b) != given {
		t.Fatal("Parse changed its input")
	}
	if refusal != nil {
		if r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(refusal.Append(nil))), nil); err != nil || r.StatusCode != refusal.Status {
			t.Fatalf("%v: %v, %v", refusal, r, err)
		}
		return
	}
	for _, s := range [][]byte{h.Method, h.Target, h.Path, h.Query, h.Host, h.Origin, h.Key} {
		if s != nil && !within(s, b) {
			t.Fatalf("%q lies outside the head", s)
		}
	}

	// A plain head is net/http's to judge, but it may not see another request.
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(given)))
	if err == nil && (r.Method != string(h.Method) || r.RequestURI != string(h.Target) || r.Host != string(h.Host) || r.ProtoMinor != h.Minor) {
		t.Fatalf("net/http sees %s %s %q %d, not %s", r.Method, r.RequestURI, r.Host, r.ProtoMinor, show(h))
	}
	if err == nil {
		checkValues(t, b, h, r.Header)
	}
	if !h.WebSocket {
		return
	}
	if err != nil {
		t.Fatalf("net/http: %v", err)
	}
	if cmp.Or(r.URL.RawPath, r.URL.EscapedPath()) != string(h.Path) || r.URL.RawQuery != string(h.Query) ||
		r.Header.Get("Origin") != string(h.Origin) || r.Header.Get("Sec-WebSocket-Key") != string(h.Key) {
		t.Fatalf("net/http sees %v %v, not %s", r.URL, r.Header, show(h))
	}
	checkUpgrader(t, given, h)
}

func checkUpgrader(t *testing.T, given string, h request.Head) {
	var answer bytes.Buffer
	var target, host string
	u := ws.Upgrader{
		OnRequest: func(uri []byte) error { target = string(uri); return nil },
		OnHost:    func(h []byte) error { host = string(h); return nil },
	}
	in := strings.NewReader(given)
	if _, err := u.Upgrade(struct {
		io.Reader
		io.Writer
	}{in, &answer}); err != nil {
		t.Fatalf("ws.Upgrader: %v", err)
	}
	if target != string(h.Target) || host != string(h.Host) && h.Target[0] == '/' {
		t.Fatalf("ws.Upgrader sees %s at %q, not %s", target, host, show(h))
	}
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, 1.3
	sum := sha1.Sum(append(bytes.Clone(h.Key), guid...))
	if accept := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(answer.String(), "Sec-WebSocket-Accept: "+accept+"\r\n") {
		t.Fatalf("ws.Upgrader answers %q, which lacks %s", answer.String(), accept)
	}
}

// within says whether s lies in b.
func within(s, b []byte) bool {
	from, at := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	return at >= from && at+uintptr(len(s)) <= from+uintptr(len(b))
}
