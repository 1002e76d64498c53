package amqp_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/amqp"
)

// What is wrong with a stream is said in one line, with the same words in the
// status, until an operator has mended it.
func TestStreamRefusals(t *testing.T) {
	ctl(t, "add_user", "reader", "reader")
	t.Cleanup(func() { ctl(t, "delete_user", "reader") })
	ctl(t, "set_permissions", "reader", `^amq\.gen`, `^amq\.gen`, ".*")
	ctl(t, "add_user", "writer", "writer")
	t.Cleanup(func() { ctl(t, "delete_user", "writer") })
	ctl(t, "set_permissions", "writer", ".*", "^(test|stream|amq[.]gen)", ".*")
	old := newProxy(t)
	// The version in connection.start, whichever it is, for one of the same length.
	version := regexp.MustCompile(`(\x07versionS\x00\x00\x00[^.]+)\d\.(?:\d\.\d|\d\d\.)`)
	old.rewrite = func(b []byte) []byte { return version.ReplaceAll(b, []byte("${1}3.8.9")) }
	ch := program(t)
	classic := func(t *testing.T) {
		if _, err := ch.QueueDeclare(streamName(t), true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ch.QueueDelete(streamName(t), false, false, false) })
	}
	for name, test := range map[string]struct {
		prepare func(*testing.T)
		mod     func(*testing.T, *amqp.Options)
		want    string
		mend    func(*testing.T) // nil if nothing in RabbitMQ does
	}{
		"a classic queue": {classic, nil, "is no stream: delete it, or set another name in amqp.stream.name",
			func(t *testing.T) {
				if _, err := ch.QueueDelete(streamName(t), false, false, false); err != nil {
					t.Fatal(err)
				}
			}},
		"no permission": {nil, func(t *testing.T, o *amqp.Options) { o.URLs = []string{broker(t).URLFor("reader", "reader", "/")} },
			"refused for user 'reader'", func(t *testing.T) { ctl(t, "set_permissions", "reader", ".*", ".*", ".*") }},
		"before streams": {nil, func(_ *testing.T, o *amqp.Options) { o.URLs = []string{old.url()} },
			"upgrade it to 3.9 or later, or set amqp.delivery: queue", nil},
		"no permission to publish": {nil, func(t *testing.T, o *amqp.Options) { o.URLs = []string{broker(t).URLFor("writer", "writer", "/")} },
			"access to exchange 'amq.default' in vhost '/' refused for user 'writer'",
			func(t *testing.T) { ctl(t, "set_permissions", "writer", ".*", ".*", ".*") }},
	} {
		t.Run(name, func(t *testing.T) {
			if test.prepare != nil {
				test.prepare(t)
			}
			n := startNode(t, streaming(t, func(o *amqp.Options) {
				o.ReconnectMin, o.ReconnectMax = time.Millisecond, 20*time.Millisecond
				if test.mod != nil {
					test.mod(t, o)
				}
			}))
			eventually(t, func() error {
				if status := fmt.Sprint(n.Status()); !strings.Contains(status, test.want) {
					return fmt.Errorf("status %q, want %q", status, test.want)
				}
				return nil
			})
			tries := n.Stats().Consume.Attaching
			eventually(t, func() error {
				if now := n.Stats().Consume.Attaching; now < tries+3 && name != "no permission to publish" {
					return fmt.Errorf("%d attempts", now-tries)
				}
				return nil
			})
			eventually(t, func() error { // the status is set before it is logged
				if len(n.logs.lines("level=WARN")) == 0 {
					return errors.New("nothing logged")
				}
				return nil
			})
			if l := n.logs.lines("level=WARN"); len(l) != 1 || !strings.Contains(l[0], test.want) {
				t.Errorf("log: %s, want one line with %q", n.logs, test.want)
			}
			if test.mend != nil {
				test.mend(t)
				n.waitReady(t)
				n.publish(t, "room", "0")
				n.wantNumbers(t, 1)
			}
		})
	}
}

// A stream with other arguments is used as it is, with one warning.
func TestStreamOfOtherArguments(t *testing.T) {
	ch := program(t)
	if _, err := ch.QueueDeclare(streamName(t), true, false, false, false, amqp091.Table{
		"x-queue-type": "stream", "x-max-length-bytes": int64(5_000_000),
	}); err != nil {
		t.Fatal(err)
	}
	p := newProxy(t)
	n := newNode(t, streaming(t, func(o *amqp.Options) { o.URLs = []string{p.url()} }))
	n.publish(t, "room", "0")
	n.flush(t)
	p.cut(-1)
	n.publish(t, "room", "1")
	n.flush(t)
	n.wantNumbers(t, 2)
	if l := n.logs.lines("other arguments than this node's configuration"); len(l) != 1 || !strings.Contains(l[0], "x-max-length-bytes") {
		t.Errorf("warned %q", l)
	}
}

// A stream of this node's making has the retention that was asked for, in
// segments that let it work.
func TestStreamArguments(t *testing.T) {
	newNode(t, streaming(t, func(o *amqp.Options) { o.Stream.MaxBytes, o.Stream.MaxAge = 64<<20, 90*time.Minute }))
	ch := program(t)
	if _, err := ch.QueueDeclare(streamName(t), true, false, false, false, amqp091.Table{
		"x-queue-type": "stream", "x-max-length-bytes": int64(64 << 20), "x-max-age": "5400s",
		"x-stream-max-segment-size-bytes": int64(4 << 20),
	}); err != nil {
		t.Error(err)
	}
}

// A node that starts under an alarm can't put its marker into the stream. It
// reads what is there and is ready; what it takes waits.
func TestStreamStartUnderAlarm(t *testing.T) {
	first := newNode(t, streaming(t, named("first")))
	for i := range 100 {
		first.publish(t, "room", fmt.Sprint(i))
	}
	first.flush(t)
	t.Cleanup(func() { ctl(t, "set_vm_memory_high_watermark", "0.4") })
	ctl(t, "set_vm_memory_high_watermark", "0.0000001")
	n := newNode(t, streaming(t, named("late"), replaying(time.Hour)))
	if got := len(n.wait(t, 0)); got != 100 {
		t.Errorf("ready after %d messages", got)
	}
	n.publish(t, "room", "100")
	eventually(t, func() error {
		if !n.Stats().Publish.Blocked {
			return errors.New("not blocked")
		}
		return nil
	})
	ctl(t, "set_vm_memory_high_watermark", "0.4")
	n.flush(t)
	n.wantNumbers(t, 101)
	first.wantNumbers(t, 101)
}
