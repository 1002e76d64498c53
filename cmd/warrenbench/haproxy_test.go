//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"warren/haproxy/haproxytest"
)

// HAProxy takes every form without a warning.
func TestFormsAreValid(t *testing.T) {
	var texts []string
	for _, f := range slices.Concat([]front{plainForm}, forms, tuned) {
		texts = append(texts, f.(form).config("127.0.0.1:1", "127.0.0.1:2"))
	}
	for _, s := range shippedFiles {
		if s := s.(shipped); s.tls {
			texts = append(texts, s.veil("127.0.0.1:1", "127.0.0.1:2"))
		}
	}
	for _, text := range texts {
		file := filepath.Join(t.TempDir(), "haproxy.cfg")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("haproxy", "-c", "-dW", "-f", file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, text)
		}
	}
}

func TestProxied(t *testing.T) {
	p := proxied{
		fronts: []front{
			form{name: "tcp", tcp: true, proxy: true},
			shipped{name: "h2", form: haproxytest.Production, tls: true, h2: true},
		},
		loads:  []load{{live{5, 50}, 0}, {live{2, 50}, 32 << 10}},
		window: 200 * time.Millisecond, connections: 5, trials: 1,
	}
	figures, err := p.run(t.Context(), nodesBench(t))
	if err != nil {
		t.Fatal(err)
	}
	checkFigures(t, figures, []string{
		"HAProxy, a delivery of 64 B, 5 clients × 50 msg/s", "tcp: the same", "h2: the same",
		"HAProxy, a delivery of 32768 B, 2 clients × 50 msg/s", "tcp: the same", "h2: the same",
		"tcp: a connection", "h2: a connection",
	}, true)
}
