package amqp_test

import (
	"strings"
	"testing"
	"time"

	"warren/amqp"
)

func TestOptionsRefused(t *testing.T) {
	const good = "amqp://guest:guest@localhost"
	tests := map[string]struct {
		o    amqp.Options
		want string
	}{
		"no URL":           {amqp.Options{}, "no AMQP URL"},
		"long node":        {amqp.Options{URLs: []string{good}, Node: strings.Repeat("n", 101)}, "at most 100"},
		"long exchange":    {amqp.Options{URLs: []string{good}, Exchange: strings.Repeat("n", 256)}, "at most 255"},
		"prefetch":         {amqp.Options{URLs: []string{good}, Prefetch: 70000}, "prefetch 70000"},
		"negative window":  {amqp.Options{URLs: []string{good}, WindowBytes: -1}, "negative size"},
		"heartbeat":        {amqp.Options{URLs: []string{good}, Heartbeat: time.Millisecond}, "heartbeat 1ms"},
		"reconnect":        {amqp.Options{URLs: []string{good}, ReconnectMin: time.Hour}, "reconnect 1h"},
		"no CA file":       {amqp.Options{URLs: []string{good}, TLS: amqp.TLS{CAFile: "testdata/none"}}, "testdata/none"},
		"no CA in file":    {amqp.Options{URLs: []string{good}, TLS: amqp.TLS{CAFile: "options_test.go"}}, "no PEM certificate"},
		"key without cert": {amqp.Options{URLs: []string{good}, TLS: amqp.TLS{KeyFile: "x"}}, "both or neither"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := amqp.New(test.o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Bad URLs are refused, and nothing of a password shows, wherever it stands.
func TestBadURLs(t *testing.T) {
	for _, u := range []string{
		"", "localhost", "http://user:hunter2@host/", "amqp://user:hunter2%zz@host/", "amqp://user:hun/ter2@host/",
		"amqp://user:hunter2", "amqp://user:hun#ter2@host", "amqp://user:hunter2@host:99999", "amqp://user:hunter2@ho st",
		"amqp://user:hunter2@host/?heartbeat=soon", "amqp://user:hunter2@[::1/", "user:hunter2@host", "hunter2://host",
		"amqp://user:44444444", "amqp://user:hunt%@er2@host",
	} {
		_, err := amqp.New(amqp.Options{URLs: []string{"amqp://localhost", u}})
		if err == nil {
			t.Errorf("%q was taken", u)
			continue
		}
		if s := err.Error(); strings.Contains(s, "hun") || strings.Contains(s, "ter2") || strings.Contains(s, "4444") {
			t.Errorf("%q: the password shows: %s", u, s)
		} else if !strings.Contains(s, "URL 2 of 2") {
			t.Errorf("%q: %s", u, s)
		}
	}
}
