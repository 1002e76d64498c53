package haproxy_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"warren/haproxy"
	"warren/haproxy/haproxytest"
)

// lines of HAProxy's log that are about a tunnel.
func tunnelLines(p *haproxytest.Proxy) (lines []string) {
	for line := range strings.Lines(p.Output()) {
		if strings.Contains(line, " websocket_servers/node") && strings.Contains(line, " www") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// A tunnel's line comes at its end, with its duration, bytes, and who ended it;
// with logasap, and in the tutorial, at its beginning.
func TestLog(t *testing.T) {
	each(t, forms[1:], func(t *testing.T, form haproxytest.Form) {
		p, _ := start(t, haproxytest.Options{Form: form})
		c := open(t, p)
		c.node()
		if form == haproxytest.Tutorial {
			eventually(t, "a line", func() bool { return len(tunnelLines(p)) == 1 })
			if line := tunnelLines(p)[0]; !strings.Contains(line, " 101 ") {
				t.Errorf("logged %q", line)
			}
			return
		}
		if lines := tunnelLines(p); len(lines) != 0 {
			t.Errorf("logged before its end: %q", lines)
		}
		c.Close(websocket.StatusNormalClosure, "")
		eventually(t, "a line", func() bool { return len(tunnelLines(p)) == 1 })
		line := tunnelLines(p)[0]
		t.Log(line)
		pattern := map[haproxytest.Form]string{
			haproxytest.Production: `www~ websocket_servers/node\d \d+/\d+/\d+/\d+/\d+ 101 \d\d+/\d\d+ ---- .* TLSv1.3 "GET /ws/room HTTP/1.1"$`,
			haproxytest.TCP:        `www~ websocket_servers/node\d \d+/\d+/\d+ \d\d+/\d\d+ -- .* TLSv1.3$`,
		}[form]
		if !regexp.MustCompile(pattern).MatchString(line) {
			t.Errorf("logged %q, want %s", line, pattern)
		}
	})
}

func TestLogAsSoonAsPossible(t *testing.T) {
	t.Parallel()
	p, _ := start(t, haproxytest.Options{Form: haproxytest.Production, Env: []string{haproxy.EnvLogASAP + "="}})
	open(t, p).node()
	eventually(t, "a line", func() bool { return len(tunnelLines(p)) == 1 })
	if line := tunnelLines(p)[0]; !strings.Contains(line, " 101 ") || !strings.Contains(line, "/+") {
		t.Errorf("logged %q", line)
	}
}
