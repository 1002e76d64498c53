package amqp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"warren/gateway"
)

// operatorError is one that fails until someone mends it.
type operatorError struct{ error }

func (e operatorError) Unwrap() error { return e.error }

// minVersion is the first RabbitMQ with streams.
var minVersion = [2]int{3, 9}

// checkVersion refuses a RabbitMQ without streams. What can't be read passes.
func checkVersion(l *link) error {
	text, _ := l.Properties["version"].(string)
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 2 {
		return nil
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil || major > minVersion[0] || major == minVersion[0] && minor >= minVersion[1] {
		return nil
	}
	return operatorError{fmt.Errorf("RabbitMQ %s has no streams, which amqp.delivery: stream needs: "+
		"upgrade it to 3.9 or later, or set amqp.delivery: queue", text)}
}

// streamSegment is the size of a stream's segment files in bytes: retention
// drops whole ones, and never the last.
func streamSegment(maxBytes int64) int64 { return min(max(maxBytes/16, 1<<20), 64<<20) }

func (o *Options) streamArgs() amqp091.Table {
	args := amqp091.Table{
		amqp091.QueueTypeArg:                 amqp091.QueueTypeStream,
		amqp091.StreamMaxLenBytesArg:         o.Stream.MaxBytes,
		amqp091.StreamMaxAgeArg:              strconv.FormatInt(int64(o.Stream.MaxAge/time.Second), 10) + "s",
		amqp091.StreamMaxSegmentSizeBytesArg: streamSegment(o.Stream.MaxBytes),
	}
	if o.Stream.Replicas > 0 {
		args["x-initial-cluster-size"] = int64(o.Stream.Replicas)
	}
	return args
}

// declareStream sees to it that the stream is there, passively first: that
// needs no permission, and doesn't insist on this node's retention. made says
// that there was none.
func (f *feed) declareStream(l *link) (made bool, err error) {
	name := f.x.opts.Stream.Name
	what := fmt.Sprintf("declaring stream %q", name)
	ch, err := l.Channel()
	if err != nil {
		return false, &linkError{what, f.ep, err}
	}
	defer ch.Close()
	_, err = ch.QueueDeclarePassive(name, true, false, false, false, nil)
	switch {
	case err == nil:
		return false, nil
	case !hasCode(err, amqp091.NotFound):
		return false, &linkError{what, f.ep, err}
	case !strings.Contains(err.Error(), "no queue"):
		return false, f.missing(err)
	}
	create, err := l.Channel()
	if err != nil {
		return false, &linkError{what, f.ep, err}
	}
	defer create.Close()
	if _, err := create.QueueDeclare(name, true, false, false, false, f.x.opts.streamArgs()); err != nil {
		if hasCode(err, amqp091.PreconditionFailed) && strings.Contains(err.Error(), "inequivalent") {
			return false, nil // another node was faster, with other arguments
		}
		return false, &linkError{what, f.ep, err}
	}
	return true, nil
}

// missing is a stream that RabbitMQ knows of and can't reach.
func (f *feed) missing(err error) error {
	if f.missingSince.IsZero() {
		f.missingSince = time.Now()
	}
	if time.Since(f.missingSince) < missingLong {
		return &linkError{fmt.Sprintf("looking for stream %q", f.x.opts.Stream.Name), f.ep, err}
	}
	return &linkError{fmt.Sprintf("stream %q stays out of reach: start the RabbitMQ nodes that keep it; if they are lost for good, "+
		"or died within a second of its making, delete it and it is made anew", f.x.opts.Stream.Name), f.ep, err}
}

// missingLong is when a stream out of reach is more than a restart or failover.
const missingLong = time.Minute

// otherArguments says in RabbitMQ's words how the stream's arguments differ from
// ours; empty if they don't.
func (f *feed) otherArguments(l *link) (string, error) {
	ch, err := l.Channel()
	if err != nil {
		return "", &linkError{"opening a channel", f.ep, err}
	}
	defer ch.Close()
	_, err = ch.QueueDeclare(f.x.opts.Stream.Name, true, false, false, false, f.x.opts.streamArgs())
	ae := (*amqp091.Error)(nil)
	switch {
	case err == nil, hasCode(err, amqp091.AccessRefused):
		return "", nil
	case !hasCode(err, amqp091.PreconditionFailed) || !errors.As(err, &ae):
		return "", &linkError{fmt.Sprintf("checking stream %q", f.x.opts.Stream.Name), f.ep, err}
	case !strings.Contains(ae.Reason, "inequivalent"):
		return "", nil
	}
	return ae.Reason, nil
}

// warnOf says once that the stream has other arguments. Its own count.
func (f *feed) warnOf(other string) {
	if other != "" && other != f.otherArgs {
		f.otherArgs = other
		f.x.opts.Logger.Warn("the stream has other arguments than this node's configuration; its own count. "+
			"Delete the stream, or set a policy, to change them", "stream", f.x.opts.Stream.Name, "RabbitMQ", other)
	}
}

// attachStream declares, binds and consumes the stream, from the place that
// was reached.
func (f *feed) attachStream(l *link) error {
	o := &f.x.opts
	if err := checkVersion(l); err != nil {
		return err
	}
	made, err := f.declareStream(l)
	if err != nil {
		return err
	}
	other := ""
	if !made {
		// Before deliveries come, which its answer would have to queue behind.
		if other, err = f.otherArguments(l); err != nil {
			return err
		}
	}
	s, err := openSource(l, f.ep, o.Prefetch)
	if err != nil {
		return err
	}
	s.name, s.what = o.Stream.Name, fmt.Sprintf("stream %q", o.Stream.Name)
	f.main = s
	if err := f.main.bind(o.Exchange); err != nil {
		return err
	}
	if made && f.place.read() {
		f.place.from = fromOldest
	}
	f.place.attach()
	err = f.main.consume(false, amqp091.Table{streamOffset: f.offset()})
	if hasCode(err, amqp091.PreconditionFailed) && strings.Contains(err.Error(), "invalid arg") {
		return operatorError{fmt.Errorf("queue %q is no stream: delete it, or set another name in amqp.stream.name; %w", o.Stream.Name, err)}
	}
	if hasCode(err, amqp091.NotFound) {
		return f.missing(err)
	}
	if err != nil {
		return err
	}
	f.missingSince = time.Time{}
	f.warnOf(other)
	return nil
}

// clockSlack is by how much RabbitMQ's clock may differ from ours.
const clockSlack = 5 * time.Second

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// streamOffset is an argument of consuming, and a header of each delivery.
const streamOffset = "x-stream-offset"

// offset is where to consume from. As long as the node was never ready, nobody
// was waiting for anything.
func (f *feed) offset() any {
	switch p := &f.place; {
	case !p.read() && p.hopeless():
		return "next"
	case !p.read() && !f.readyAt.IsZero():
		// It was ready, under an alarm: somebody may wait since.
		return earlier(time.Now().Add(-f.x.opts.Stream.Replay), f.readyAt.Add(-clockSlack))
	case !p.read() && f.x.opts.Stream.Replay == 0:
		return "next"
	case !p.read():
		return time.Now().Add(-f.x.opts.Stream.Replay)
	case p.from == fromOldest:
		return "first"
	case p.from == fromEnd:
		return "last"
	case p.from == fromKnown:
		return int64(p.at(0).Offset)
	case p.skip > 0:
		return int64(p.last().Offset) + 1 + p.skip
	default:
		return int64(p.last().Offset)
	}
}

var (
	errNoStream = errors.New("a message came without an offset")
	errForeign  = errors.New("the stream is not as it was read: looking further back")
	errSilent   = errors.New("the stream gives nothing though it should: looking further back")
)

// streamed takes a delivery of the stream.
func (f *feed) streamed(d *amqp091.Delivery) error {
	offset, ok := d.Headers[streamOffset].(int64)
	if !ok {
		return operatorError{fmt.Errorf("queue %q is no stream: %w", f.main.name, errNoStream)}
	}
	id := gateway.ID{Offset: uint64(offset), Check: checksum(d)}
	switch f.place.judge(id) {
	case isKnown:
		return nil
	case isForeign:
		return errForeign
	case isBehind:
		f.gap(gateway.Gap{Reason: "the stream no longer keeps what came next: its retention is too short, or it was emptied", Lasted: f.away()})
	case isSkipped:
		f.gap(gateway.Gap{Reason: "a message in the stream can't be read and was left out: its headers are nested over 32 deep, or have over 8192 entries"})
	case isOther:
		f.gap(gateway.Gap{Reason: "the stream's end was cut, or it was made anew", Lasted: f.away()})
	}
	if d.Exchange != "" {
		f.deliver(d, id)
		return nil
	}
	f.to.Deliver(gateway.Message{ID: id, Blank: true})
	if d.AppId != appID || d.Type != markerType {
		f.strange(d)
		return nil
	}
	f.x.counters.received.Add(1)
	if d.MessageId == f.marker.id && !f.caught {
		f.caughtUp()
	}
	return nil
}
