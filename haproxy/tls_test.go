package haproxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"warren/haproxy/haproxytest"
)

// TLS 1.2 and 1.3, no older; HTTP/2 where HAProxy reads it.
func TestTLS(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		p, _ := start(t, haproxytest.Options{Form: form})
		for _, c := range []struct {
			max  uint16
			want bool
		}{{tls.VersionTLS11, false}, {tls.VersionTLS12, true}, {tls.VersionTLS13, true}} {
			config := p.TLS()
			config.MinVersion, config.MaxVersion = tls.VersionTLS10, c.max
			config.NextProtos = []string{"h2", "http/1.1"}
			conn, err := tls.Dial("tcp", p.Addr(), config)
			if (err == nil) != c.want {
				t.Errorf("%s: %v", tls.VersionName(c.max), err)
			}
			if err != nil {
				continue
			}
			state := conn.ConnectionState()
			conn.Close()
			if want := map[haproxytest.Form]string{haproxytest.Production: "h2", haproxytest.TCP: "http/1.1"}[form]; state.Version != c.max || state.NegotiatedProtocol != want {
				t.Errorf("%s: got %s and %q", tls.VersionName(c.max), tls.VersionName(state.Version), state.NegotiatedProtocol)
			}
		}
	})
}

// Who comes back resumes the TLS session, from HAProxy's cache.
func TestTLSResumption(t *testing.T) {
	each(t, []haproxytest.Form{haproxytest.Production, haproxytest.TCP}, func(t *testing.T, form haproxytest.Form) {
		p, _ := start(t, haproxytest.Options{Form: form})
		config := p.TLS()
		config.MinVersion = tls.VersionTLS13 // by TLS 1.2 Go's client has tickets only
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for _, want := range []bool{false, true} {
			conn, err := tls.Dial("tcp", p.Addr(), config)
			if err != nil {
				t.Fatal(err)
			}
			// What to resume by comes with the first answer (RFC 8446, 4.6.1).
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Error(err)
			}
			if got := conn.ConnectionState().DidResume; got != want {
				t.Errorf("resumed: %v, want %v", got, want)
			}
			conn.Close()
		}
	})
}
