package haproxy_test

import (
	"os"
	"strings"
	"testing"

	"warren/haproxy"
)

// docs/haproxy.md explains each line: every keyword of haproxy.cfg stands in it
// as code.
func TestExplained(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/haproxy.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := string(b)
	// Of these the second word says what it is.
	families := map[string]bool{
		"option": true, "timeout": true, "stats": true, "http-request": true, "http-response": true, "http-after-response": true, "tcp-request": true,
		"http-check": true,
	}
	for line := range strings.Lines(string(haproxy.Config)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") || strings.HasPrefix(words[0], ".") || !strings.HasPrefix(line, " ") {
			continue
		}
		keyword := words[0]
		if families[keyword] {
			keyword += " " + words[1]
		}
		if keyword == "tcp-request connection" || keyword == "http-after-response set-header" {
			keyword += " " + words[2]
		}
		if !strings.Contains(docs, "`"+keyword) {
			t.Errorf("docs/haproxy.md doesn't explain %q", keyword)
		}
	}
	for _, word := range []string{"haproxy.cfg", "tutorial.cfg", "tcp.cfg"} {
		if !strings.Contains(docs, "(../haproxy/"+word+")") {
			t.Errorf("docs/haproxy.md has no link to %s", word)
		}
	}
}
