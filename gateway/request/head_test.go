package request_test

import (
	"strings"
	"testing"

	"warren/gateway/request"
)

const key = "dGhlIHNhbXBsZSBub25jZQ==" // of RFC 6455, 1.3

// head joins lines with CR LF and ends the head.
func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// upgrade is a good handshake with its request line and some fields replaced:
// "Name: value" by its name, "-Name" left out, anything else added.
func upgrade(requestLine string, change ...string) string {
	lines := []string{
		requestLine,
		"Host: example.com:3000",
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Key: " + key,
		"Sec-WebSocket-Version: 13",
		"Origin: http://example.com:3000",
	}
	for _, c := range change {
		name, _, _ := strings.Cut(strings.TrimPrefix(c, "-"), ":")
		at := -1
		for i, l := range lines {
			if strings.HasPrefix(l, name+":") {
				at = i
			}
		}
		switch {
		case strings.HasPrefix(c, "-"):
			lines = append(lines[:at], lines[at+1:]...)
		case at > 0:
			lines[at] = c
		default:
			lines = append(lines, c)
		}
	}
	return head(lines...)
}

const getRoom = "GET /ws/room HTTP/1.1"

func TestParseAccepts(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want string // METHOD path ?query host origin minor websocket
	}{
		{"handshake", upgrade("GET /ws/room?a=1&b HTTP/1.1"), `GET /ws/room ?a=1&b example.com:3000 http://example.com:3000 1 ws`},
		{"no origin", upgrade(getRoom, "-Origin"), `GET /ws/room - example.com:3000 - 1 ws`},
		{"empty origin", upgrade(getRoom, "Origin:"), `GET /ws/room - example.com:3000 "" 1 ws`},
		{"null origin", upgrade(getRoom, "Origin: null"), `GET /ws/room - example.com:3000 null 1 ws`},
		{"empty query", upgrade("GET /ws? HTTP/1.1"), `GET /ws ?"" example.com:3000 http://example.com:3000 1 ws`},
		{"query with a question mark", upgrade("GET /ws?a?b HTTP/1.1"), `GET /ws ?a?b example.com:3000 http://example.com:3000 1 ws`},
		{"bad escape in query", upgrade("GET /ws?a=%zz HTTP/1.1"), `GET /ws ?a=%zz example.com:3000 http://example.com:3000 1 ws`},
		{"escapes stay", upgrade("GET /ws/a%2Fb HTTP/1.1"), `GET /ws/a%2Fb - example.com:3000 http://example.com:3000 1 ws`},
		{"upper case", upgrade(getRoom, "Upgrade: WEBSOCKET", "Connection: UPGRADE"), `GET /ws/room - example.com:3000 http://example.com:3000 1 ws`},
		{"names in any case", strings.ToUpper("GET /WS HTTP/1.1\r\nhost: X\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ") + key + "\r\n\r\n", `GET /WS - X - 1 ws`},
		{"names in lower case", "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: " + key + "\r\n\r\n", `GET /ws - x - 1 ws`},
		{"connection list", upgrade(getRoom, "Connection: keep-alive, ,\tUpgrade"), `GET /ws/room - example.com:3000 http://example.com:3000 1 ws`},
		{"white space around values", upgrade(getRoom, "Upgrade: \t websocket \t", "Host:example.com  ", "Origin:x"), `GET /ws/room - example.com x 1 ws`},
		{"two lines of protocols", upgrade(getRoom, "Sec-WebSocket-Protocol: a", "sec-websocket-protocol: b"), `GET /ws/room - example.com:3000 http://example.com:3000 1 ws`},
		{"obs-text", upgrade(getRoom, "X: caf\xe9 \xf0"), `GET /ws/room - example.com:3000 http://example.com:3000 1 ws`},
		{"IPv6 host", upgrade(getRoom, "Host: [::1]:3000"), `GET /ws/room - [::1]:3000 http://example.com:3000 1 ws`},
		{"host with empty port", upgrade(getRoom, "Host: a:"), `GET /ws/room - a: http://example.com:3000 1 ws`},
		{"absolute target", upgrade("GET HTTP://other:80/ws/a?b HTTP/1.1"), `GET /ws/a ?b other:80 http://example.com:3000 1 ws`},
		{"absolute target, IPv6", upgrade("GET https://[::1]/ws HTTP/1.1"), `GET /ws - [::1] http://example.com:3000 1 ws`},
		{"absolute target, no path", upgrade("GET http://other?b HTTP/1.1"), `GET "" ?b other http://example.com:3000 1 ws`},
		{"later minor version", upgrade("GET /ws HTTP/1.9"), `GET /ws - example.com:3000 http://example.com:3000 9 ws`},
		{"largest", upgrade(getRoom, "X: "+strings.Repeat("x", request.MaxHead-len(upgrade(getRoom, "X: ")))), `GET /ws/room - example.com:3000 http://example.com:3000 1 ws`},

		{"page", head("GET / HTTP/1.1", "Host: a", "Accept: */*"), `GET / - a - 1`},
		{"no fields at all", head("GET /readyz HTTP/1.0"), `GET /readyz - - - 0`},
		{"HTTP/1.0 with host", head("GET / HTTP/1.0", "Host: a"), `GET / - a - 0`},
		{"empty host", head("GET / HTTP/1.1", "Host:"), `GET / - "" - 1`},
		{"OPTIONS *", head("OPTIONS * HTTP/1.1", "Host: a"), `OPTIONS * - a - 1`},
		{"body", head("POST /x HTTP/1.1", "Host: a", "Content-Length: 4"), `POST /x - a - 1`},
		{"chunked body", head("POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"), `POST /x - a - 1`},
		{"h2c", head("GET /ws HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"), `GET /ws - a - 1`},
		{"h2c with a body", head("POST /ws HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 1"), `POST /ws - a - 1`},
		{"websocket by its Unicode fold", head("GET /ws HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: websoc\u212aet"), `GET /ws - a - 1`},
		{"not quite Host", head("GET / HTTP/1.1", "Hos_: b", "Host: a", "Hosts: c"), `GET / - a - 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := request.Parse([]byte(c.in))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if got := show(h); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if h.WebSocket && string(h.Key) != key {
				t.Errorf("key %q", h.Key)
			}
		})
	}
}

// show writes a head on one line; - is nil and "" is empty.
func show(h request.Head) string {
	text := func(b []byte) string {
		switch {
		case b == nil:
			return "-"
		case len(b) == 0:
			return `""`
		}
		return string(b)
	}
	query := text(h.Query)
	if h.Query != nil {
		query = "?" + query
	}
	s := strings.Join([]string{string(h.Method), text(h.Path), query, text(h.Host), text(h.Origin), string(rune('0' + h.Minor))}, " ")
	if h.WebSocket {
		s += " ws"
	}
	return s
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		in     string
		status int
		reason string
	}{
		{"empty", "", 400, "too early"},
		{"no line end", "GET / HTTP/1.1", 400, "too early"},
		{"no empty line", "GET / HTTP/1.1\r\nHost: a\r\n", 400, "too early"},
		{"bytes behind the head", head("GET / HTTP/1.1", "Host: a") + "x", 400, "too late"},
		{"one byte over the limit", upgrade(getRoom, "X: "+strings.Repeat("x", request.MaxHead+1-len(upgrade(getRoom, "X: ")))), 431, "over 8192 bytes"},

		{"empty request line", "\r\n\r\n", 400, "request line"},
		{"one word", head("GET"), 400, "request line"},
		{"HTTP/0.9", head("GET /"), 400, "request line"},
		{"no method", head(" / HTTP/1.1"), 400, "request line"},
		{"no target", head("GET  HTTP/1.1"), 400, "request line"},
		{"two spaces", head("GET  / HTTP/1.1"), 400, "request line"},
		{"two spaces before the version", head("GET /  HTTP/1.1"), 400, "request line"},
		{"space in target", head("GET /a b HTTP/1.1"), 400, "request line"},
		{"space at the end", head("GET / HTTP/1.1 "), 400, "request line"},
		{"method no token", head("G(T / HTTP/1.1"), 400, "request line"},
		{"tabs", head("GET\t/\tHTTP/1.1"), 400, "request line"},
		{"lower-case http", head("GET / http/1.1"), 400, "request line"},
		{"HTTP/1.10", head("GET / HTTP/1.10"), 400, "request line"},
		{"HTTP/1.x", head("GET / HTTP/1.x"), 400, "request line"},
		{"HTTP/x.1", head("GET / HTTP/x.1"), 400, "request line"},
		{"HTTP/1-1", head("GET / HTTP/1-1"), 400, "request line"},
		{"CR in the request line", head("GET / HTTP/1.1\r"), 400, "request line"},
		{"HTTP/2 preface", head("PRI * HTTP/2.0"), 505, "HTTP version"},
		{"HTTP/0.9 by number", head("GET / HTTP/0.9"), 505, "HTTP version"},

		{"fragment", upgrade("GET /ws/a#b HTTP/1.1"), 400, "fragment"},
		{"no slash", upgrade("GET ws HTTP/1.1"), 400, "target"},
		{"star", upgrade("GET * HTTP/1.1"), 400, "target"},
		{"authority", head("CONNECT a:80 HTTP/1.1", "Host: a"), 400, "target"},
		{"other scheme", upgrade("GET ws://a/ws HTTP/1.1"), 400, "target"},
		{"absolute without host", upgrade("GET http:///ws HTTP/1.1"), 400, "target"},
		{"user info", upgrade("GET http://u:p@a/ws HTTP/1.1"), 400, "target"},
		{"no IPv6 address", upgrade("GET http://[::1::]/ws HTTP/1.1"), 400, "target"},
		{"IPv4 in brackets", upgrade("GET http://[127.0.0.1]/ws HTTP/1.1"), 400, "target"},
		{"NUL in target", upgrade("GET /ws\x00 HTTP/1.1"), 400, "target"},
		{"tab in target", upgrade("GET /ws\t HTTP/1.1"), 400, "target"},
		{"CR in target", upgrade("GET /ws\r HTTP/1.1"), 400, "target"},
		{"DEL in target", upgrade("GET /ws\x7f HTTP/1.1"), 400, "target"},
		{"raw UTF-8 in target", upgrade("GET /ws/räum HTTP/1.1"), 400, "target"},
		{"escape without digits", upgrade("GET /ws/%zz HTTP/1.1"), 400, "hex"},
		{"escape with one digit", upgrade("GET /ws/%2z HTTP/1.1"), 400, "hex"},
		{"escape cut off", upgrade("GET /ws/%2 HTTP/1.1"), 400, "hex"},

		{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "LF without CR"},
		{"bare LF between fields", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "LF without CR"},
		{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "LF without CR"},
		{"bare LFs", "GET / HTTP/1.1\nHost: a\n\n", 400, "LF without CR"},
		{"bare LF within a field", upgrade(getRoom, "X: a\nHost: b"), 400, "LF without CR"},
		{"lone CR", upgrade(getRoom, "X: a\rb"), 400, "CR without LF"},
		{"CR CR LF", upgrade(getRoom, "X: a\r"), 400, "CR without LF"},
		{"CR alone in a line", head("GET / HTTP/1.1", "Host: a", "\r"), 400, "name"},
		{"NUL", upgrade(getRoom, "X: a\x00"), 400, "control"},
		{"escape character", upgrade(getRoom, "X: \x1b[2J"), 400, "control"},
		{"DEL", upgrade(getRoom, "X: \x7f"), 400, "control"},
		{"vertical tab", upgrade(getRoom, "Upgrade: \vwebsocket"), 400, "control"},
		{"folded by space", upgrade(getRoom, "X: a", " b"), 400, "begins with white space"},
		{"folded by tab", upgrade(getRoom, "X: a", "\tb: c"), 400, "begins with white space"},
		{"white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "begins with white space"},
		{"space before the colon", upgrade(getRoom, "X : a"), 400, "before the colon"},
		{"tab before the colon", upgrade(getRoom, "X\t: a"), 400, "before the colon"},
		{"space within a name", upgrade(getRoom, "X Y: a"), 400, "name"},
		{"no colon", upgrade(getRoom, "X"), 400, "name"},
		{"no name", upgrade(getRoom, ": a"), 400, "name"},
		{"name no token", upgrade(getRoom, "X(Y): a"), 400, "name"},
		{"name not ASCII", upgrade(getRoom, "Ä: a"), 400, "name"},
		{"NUL in a name", upgrade(getRoom, "X\x00: a"), 400, "name"},

		{"no host", head("GET / HTTP/1.1"), 400, "no Host"},
		{"no host, absolute target", head("GET http://a/ HTTP/1.1"), 400, "no Host"},
		{"no host on a handshake", upgrade(getRoom, "-Host"), 400, "no Host"},
		{"empty host on a handshake", upgrade(getRoom, "Host:"), 400, "no Host"},
		{"host twice", head("GET / HTTP/1.1", "Host: a", "host: a"), 400, "more than one Host"},
		{"empty host first", head("GET / HTTP/1.1", "Host:", "Host: a"), 400, "more than one Host"},
		{"hosts joined", head("GET / HTTP/1.1", "Host: a,b"), 400, "bad Host"},
		{"host with a path", head("GET / HTTP/1.1", "Host: a/b"), 400, "bad Host"},
		{"host with user info", head("GET / HTTP/1.1", "Host: u@a"), 400, "bad Host"},
		{"host with two ports", head("GET / HTTP/1.1", "Host: a:1:2"), 400, "bad Host"},
		{"host with a long port", head("GET / HTTP/1.1", "Host: a:123456"), 400, "bad Host"},
		{"host with a named port", head("GET / HTTP/1.1", "Host: a:http"), 400, "bad Host"},
		{"port without host", head("GET / HTTP/1.1", "Host: :80"), 400, "bad Host"},
		{"bare IPv6 host", head("GET / HTTP/1.1", "Host: ::1"), 400, "bad Host"},
		{"brackets not closed", head("GET / HTTP/1.1", "Host: [::1"), 400, "bad Host"},
		{"brackets empty", head("GET / HTTP/1.1", "Host: []"), 400, "bad Host"},
		{"brackets with a zone", head("GET / HTTP/1.1", "Host: [fe80::1%25eth0]"), 400, "bad Host"},
		{"junk behind brackets", head("GET / HTTP/1.1", "Host: [::1]a"), 400, "bad Host"},
		{"bad host beside an absolute target", head("GET http://a/ HTTP/1.1", "Host: a b"), 400, "bad Host"},
		{"origin twice", upgrade(getRoom, "origin: http://b"), 400, "more than one Origin"},

		{"length and encoding", head("POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"), 400, "body length"},
		{"length twice", head("POST / HTTP/1.1", "Host: a", "Content-Length: 1", "content-length: 2"), 400, "body length"},
		{"encoding twice", head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: x"), 400, "body length"},
		{"encoding in HTTP/1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked"), 400, "body length"},

		{"handshake with POST", upgrade("POST /ws HTTP/1.1"), 400, "GET"},
		{"handshake with HEAD", upgrade("HEAD /ws HTTP/1.1"), 400, "GET"},
		{"handshake in lower case", upgrade("GEt /ws HTTP/1.1"), 400, "GET"},
		{"handshake in HTTP/1.0", upgrade("GET /ws HTTP/1.0"), 400, "HTTP/1.1"},
		{"no connection", upgrade(getRoom, "-Connection"), 400, "Upgrade without Connection"},
		{"connection close", upgrade(getRoom, "Connection: close"), 400, "Upgrade without Connection"},
		{"connection no list", upgrade(getRoom, `Connection: "x", upgrade`), 400, "Upgrade without Connection"},
		{"connection almost", upgrade(getRoom, "Connection: upgrades, xupgrade"), 400, "Upgrade without Connection"},
		{"two connections", upgrade(getRoom, "connection: keep-alive"), 400, "several Connection"},
		{"h2c and websocket", upgrade(getRoom, "Upgrade: h2c, websocket"), 400, "nothing else"},
		{"h2c beside websocket", upgrade(getRoom, "upgrade: h2c"), 400, "nothing else"},
		{"websocket twice", upgrade(getRoom, "upgrade: websocket"), 400, "once"},
		{"handshake with a body", upgrade(getRoom, "Content-Length: 5"), 400, "no Content-Length"},
		{"handshake with an empty body", upgrade(getRoom, "Content-Length: 0"), 400, "no Content-Length"},
		{"handshake with chunks", upgrade(getRoom, "Transfer-Encoding: chunked"), 400, "no Content-Length"},
		{"no version", upgrade(getRoom, "-Sec-WebSocket-Version"), 400, "no Sec-WebSocket-Version"},
		{"empty version", upgrade(getRoom, "Sec-WebSocket-Version:"), 400, "no Sec-WebSocket-Version"},
		{"two versions", upgrade(getRoom, "sec-websocket-version: 13"), 400, "more than one Sec-WebSocket-Version"},
		{"old version", upgrade(getRoom, "Sec-WebSocket-Version: 8"), 426, "must be 13"},
		{"list of versions", upgrade(getRoom, "Sec-WebSocket-Version: 13, 8"), 426, "must be 13"},
		{"version with a zero", upgrade(getRoom, "Sec-WebSocket-Version: 013"), 426, "must be 13"},
		{"no key", upgrade(getRoom, "-Sec-WebSocket-Key"), 400, "no Sec-WebSocket-Key"},
		{"empty key", upgrade(getRoom, "Sec-WebSocket-Key:"), 400, "no Sec-WebSocket-Key"},
		{"two keys", upgrade(getRoom, "sec-websocket-key: "+key), 400, "more than one Sec-WebSocket-Key"},
		{"key of 15 bytes", upgrade(getRoom, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"), 400, "base64 of 16 bytes"},
		{"key of 17 bytes", upgrade(getRoom, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWQ="), 400, "base64 of 16 bytes"},
		{"key of 18 bytes", upgrade(getRoom, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWRk"), 400, "base64 of 16 bytes"},
		{"key of 24 other bytes", upgrade(getRoom, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400, "base64 of 16 bytes"},
		{"key in the URL alphabet", upgrade(getRoom, "Sec-WebSocket-Key: -Ghl_HNhbXBsZSBub25jZQ=="), 400, "base64 of 16 bytes"},
		{"key with trailing bits", upgrade(getRoom, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR=="), 400, "base64 of 16 bytes"},
		{"key without padding", upgrade(getRoom, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), 400, "base64 of 16 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := request.Parse([]byte(c.in))
			switch {
			case err == nil:
				t.Fatalf("accepted: %s", show(h))
			case err.Status != c.status || !strings.Contains(err.Reason, c.reason):
				t.Errorf("got %v, want %d and %q", err, c.status, c.reason)
			case h.Method != nil || h.WebSocket:
				t.Errorf("refused, and yet a head: %s", show(h))
			}
		})
	}
}

func TestEnd(t *testing.T) {
	whole := upgrade(getRoom)
	for _, c := range []struct {
		name, in string
		want     int
	}{
		{"empty", "", 0},
		{"one line", "GET / HTTP/1.1\r\n", 0},
		{"all but the last byte", whole[:len(whole)-1], 0},
		{"whole", whole, len(whole)},
		{"frames behind it", whole + "\x81\x80\r\n\r\n", len(whole)},
		{"bare LFs", "GET / HTTP/1.1\n\nx", 16},
		{"bare LF, then CR LF", "GET / HTTP/1.1\n\r\nx", 17},
		{"CR LF, then bare LF", "GET / HTTP/1.1\r\n\nx", 17},
		{"CRs do not end it", "GET / HTTP/1.1\r\r\r\n\r", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			// As a shard sees it, however the bytes arrive: before the last
			// byte there is no end, and what was searched is not searched again.
			got := 0
			for n := 0; n <= len(c.in) && got == 0; n++ {
				if got = request.End([]byte(c.in[:n]), n-1); got != 0 && got != n {
					t.Fatalf("after %d bytes: end %d", n, got)
				}
			}
			if got != c.want {
				t.Errorf("byte by byte: got %d, want %d", got, c.want)
			}
			for from := 0; from <= min(len(c.in), max(c.want-1, 0)); from++ {
				if got := request.End([]byte(c.in), from); got != c.want {
					t.Errorf("from %d: got %d, want %d", from, got, c.want)
				}
			}
		})
	}
}

func TestPlausible(t *testing.T) {
	for c := range 256 {
		if got, want := request.Plausible(byte(c)), c >= 'A' && c <= 'Z'; got != want {
			t.Errorf("%q: got %v", rune(c), got)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	good := []byte(upgrade("GET /ws/room/1?x=1 HTTP/1.1", "User-Agent: some/1.0", "Host: [::1]:3000"))
	bad := []byte(upgrade("GET /ws/room/1?x=1 HTTP/1.1", "Sec-WebSocket-Version: 8"))
	origins, err := request.ParseOrigins([]string{"https://a.example", "https://b.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 512)
	for name, f := range map[string]func(){
		"accept": func() {
			h, err := request.Parse(good[:request.End(good, 0)])
			if err != nil || !h.WebSocket {
				t.Fatal("refused")
			}
			name, where := request.Channel(h.Path, "/ws")
			if where != request.Named || !request.ValidChannel(name) || origins.Allow(h.Origin, h.Host) {
				t.Fatal("wrong verdict")
			}
		},
		"refuse": func() {
			_, err := request.Parse(bad)
			buf = err.Append(buf[:0])
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
