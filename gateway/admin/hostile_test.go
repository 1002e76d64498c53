package admin_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"warren/gateway/admin"
)

// Bodies that don't come, or come broken, publish nothing and hold nobody up.
func TestHostileBodies(t *testing.T) {
	const head = "POST /publish/room HTTP/1.1\r\nHost: localhost\r\n"
	tests := []struct {
		name, text string
		status     int
	}{
		{"never comes", head + "Content-Length: 10\r\n\r\n", 408},
		{"stands still", head + "Content-Length: 10\r\n\r\nabc", 408},
		{"chunk stands still", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", 408},
		{"no chunk", head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
		{"huge by its length", head + "Content-Length: 1000000000000\r\n\r\n", 413},
		{"huge in chunks", head + "Transfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 17), 413},
		{"batch that never comes", "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jsonl\r\nContent-Length: 10\r\n\r\n", 200},
		{"large head", head + "X: " + strings.Repeat("x", 20<<10), 431},
	}
	f := newFake()
	s := start(t, admin.Options{ReadTimeout: 2 * time.Second}, f)
	t.Run("all", func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel() // some wait for the time limit
				response := s.raw(t, tt.text)
				if response.StatusCode != tt.status {
					body, _ := io.ReadAll(response.Body)
					t.Errorf("%s %s", response.Status, body)
				}
			})
		}
	})
	if n := f.count(); n != 0 {
		t.Errorf("%d messages were published", n)
	}
}

// Together they may not take more memory than they are given; one always gets
// what it needs.
func TestMemory(t *testing.T) {
	f := newFake()
	s := start(t, admin.Options{MaxMessageSize: 1000, Memory: 1500, ReadTimeout: time.Hour}, f)
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /publish/room HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n%s", strings.Repeat("x", 999))
	// The first may not have been accepted yet.
	ctx := within(t)
	for {
		r := s.post("/publish/room", "", strings.Repeat("y", 600))
		if r.StatusCode == http.StatusServiceUnavailable {
			r.is(t, 503, "too much")
			break
		}
		if ctx.Err() != nil {
			t.Fatal("never refused")
		}
	}
	s.post("/publish/room", "", strings.Repeat("z", 500)).is(t, 200, "")
	n := f.count()
	if _, err := io.WriteString(conn, "x"); err != nil {
		t.Fatal(err)
	}
	f.wait(t, n+1)
}
