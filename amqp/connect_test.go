package amqp_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"warren/amqp"
)

// unused is an amqp URL where nobody listens.
const unused = "amqp://guest:guest@127.0.0.1:9/"

func TestSeveralURLs(t *testing.T) {
	n := newNode(t, func(o *amqp.Options) { o.URLs = []string{unused, broker(t).URL()} })
	n.publish(t, "room", "0")
	n.wantNumbers(t, 1)
	if l := n.logs.lines("127.0.0.1:9/"); len(l) != 1 {
		t.Errorf("lines about the dead one: %q", l)
	}
}

// What an operator must mend is said in one line, with the same words in the
// status and without the password, and is tried again.
func TestRefusals(t *testing.T) {
	const secret = "s3cret/pass"
	ch := program(t)
	if err := ch.ExchangeDeclare("test.direct", "direct", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		mod  func(*amqp.Options)
		want string
	}{
		"wrong password": {func(o *amqp.Options) { o.URLs = []string{broker(t).URLFor("guest", secret, "/")} },
			`login as \"guest\" failed: wrong user or password`},
		"no such vhost": {func(o *amqp.Options) { o.URLs = []string{broker(t).URLFor("guest", "guest", "nowhere")} },
			"vhost nowhere not found"},
		"exchange of another type": {func(o *amqp.Options) { o.Exchange = "test.direct" },
			`exchange \"test.direct\" must be a fanout exchange`},
		"reserved exchange name": {func(o *amqp.Options) { o.Exchange = "amq.none" },
			"ACCESS_REFUSED"},
		"TLS to a plain port": {func(o *amqp.Options) { o.URLs = []string{strings.Replace(broker(t).URL(), "amqp:", "amqps:", 1)} },
			"can't attach"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, func(o *amqp.Options) {
				o.ReconnectMin, o.ReconnectMax = time.Millisecond, 20*time.Millisecond
				test.mod(o)
			})
			eventually(t, func() error {
				if tries := n.Stats().Consume.Attaching; tries < 4 {
					return fmt.Errorf("%d attempts", tries)
				}
				return nil
			})
			if l := n.logs.lines("level="); len(l) != 1 || !strings.Contains(l[0], test.want) {
				t.Errorf("log: %s, want one line with %q", n.logs, test.want)
			}
			status := fmt.Sprint(n.Status())
			if want := strings.ReplaceAll(test.want, `\`, ""); name != "TLS to a plain port" && !strings.Contains(status, want) {
				t.Errorf("status %q, want %q", status, want)
			}
			if all := n.logs.String() + status; strings.Contains(all, secret) || strings.Contains(all, url.QueryEscape(secret)) {
				t.Errorf("the password shows: %s", all)
			}
		})
	}
}

// An operator's mending is noticed.
func TestRefusalMended(t *testing.T) {
	ch := program(t)
	if err := ch.ExchangeDeclare(exchangeName(t), "direct", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.ExchangeDelete(exchangeName(t), false, false) })
	n := startNode(t, func(o *amqp.Options) { o.ReconnectMax = 200 * time.Millisecond })
	eventually(t, func() error {
		if len(n.logs.lines("must be a fanout exchange")) == 0 {
			return errors.New("nothing logged")
		}
		return nil
	})
	if err := ch.ExchangeDelete(exchangeName(t), false, false); err != nil {
		t.Fatal(err)
	}
	n.waitReady(t)
}

// A user who may not create the exchange can use one that stands.
func TestFewPermissions(t *testing.T) {
	ctl(t, "add_user", "weak", "weak")
	t.Cleanup(func() { ctl(t, "delete_user", "weak") })
	ctl(t, "set_permissions", "weak", `^amq\.gen`, ".*", ".*")
	mod := func(o *amqp.Options) {
		o.URLs = []string{broker(t).URLFor("weak", "weak", "/")}
		o.ReconnectMin, o.ReconnectMax = 50*time.Millisecond, 100*time.Millisecond
	}
	n := startNode(t, mod)
	eventually(t, func() error {
		if s := fmt.Sprint(n.Status()); !strings.Contains(s, "refused for user 'weak'") {
			return fmt.Errorf("status: %q", s)
		}
		return nil
	})
	if err := program(t).ExchangeDeclare(exchangeName(t), "fanout", false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	n.waitReady(t)
	n.publish(t, "room", "0")
	n.wantNumbers(t, 1)
}

func TestTLS(t *testing.T) {
	files := broker(t).TLS
	n := newNode(t, func(o *amqp.Options) {
		o.URLs = []string{broker(t).TLSURL()}
		o.TLS = amqp.TLS{CAFile: files.CAFile, CertFile: files.CertFile, KeyFile: files.KeyFile, ServerName: files.ServerName}
	})
	n.publish(t, "room", "0")
	n.flush(t)
	n.wantNumbers(t, 1)

	for name, test := range map[string]struct {
		tls  amqp.TLS
		want string
	}{
		"unknown authority": {amqp.TLS{CertFile: files.CertFile, KeyFile: files.KeyFile, ServerName: files.ServerName},
			"certificate signed by unknown authority"},
		"another server": {amqp.TLS{CAFile: files.CAFile, CertFile: files.CertFile, KeyFile: files.KeyFile}, "127.0.0.1"},
		"no client certificate": {amqp.TLS{CAFile: files.CAFile, ServerName: files.ServerName},
			"asked for a client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, func(o *amqp.Options) {
				o.URLs, o.TLS = []string{broker(t).TLSURL()}, test.tls
				o.ReconnectMin, o.ReconnectMax = 10*time.Millisecond, 20*time.Millisecond
			})
			eventually(t, func() error {
				if tries := n.Stats().Consume.Attaching; tries < 4 {
					return fmt.Errorf("%d attempts", tries)
				}
				return nil
			})
			if l := n.logs.lines("level="); len(l) != 1 || !strings.Contains(l[0], test.want) {
				t.Errorf("log: %s, want one line with %q", n.logs, test.want)
			}
		})
	}
}
