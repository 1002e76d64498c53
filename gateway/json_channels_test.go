package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"warren/gateway"
)

// narrowWindow is that of connectNarrow.
const narrowWindow = 32 << 10

// wide is streamed with a payload of so many bytes.
func wide(channel string, i, size int) gateway.Message {
	m := streamed(channel, i)
	m.Payload = []byte(`"` + strings.Repeat(string(rune('a'+i%26)), size) + `"`)
	return m
}

// heardWide is how clients hear it.
func heardWide(channel string, i, size int) string {
	return strings.TrimSuffix(heard(channel, i), fmt.Sprintf("%d}", i)) + string(wide(channel, i, size).Payload) + "}"
}

// A client may listen to clients.max_channels, and hears each of them.
func TestJSONManyChannels(t *testing.T) {
	const most = 128
	r := newRecorder()
	n := start(t, keeping(100), r)
	to := <-r.to
	c := openJSON(t, n, "/ws/0")
	c.answer("subscribed")
	for i := 1; i < most; i++ {
		c.ask(fmt.Sprintf(`{"type":"subscribe","channel":"%d","ref":%d}`, i, i))
		if a := c.answer("subscribed"); string(a.Ref) != fmt.Sprint(i) || a.Channel != fmt.Sprint(i) {
			t.Fatalf("got %s", a.whole)
		}
	}
	c.ask(`{"type":"subscribe","channel":"more","history":3}`)
	if a := c.answer("error"); a.Code != "too_many_channels" {
		t.Fatalf("got %s", a.whole)
	}
	for i := range 3 * most {
		to.Deliver(streamed(fmt.Sprint(i*7%most), i))
	}
	last := map[string]int{}
	for range 3 * most {
		a := c.answer("message")
		var i int
		if _, err := fmt.Sscan(string(a.Data), &i); err != nil || a.whole != heard(fmt.Sprint(i*7%most), i) || i < last[a.Channel] {
			t.Fatalf("after %d: %s", last[a.Channel], a.whole)
		}
		last[a.Channel] = i
	}
	c.ask(`{"type":"unsubscribe","channel":"5"}`, `{"type":"subscribe","channel":"more","history":3}`)
	c.answer("unsubscribed")
	c.answer("subscribed")
	if st := n.Stats(); st.Channels != most || len(last) != most {
		t.Errorf("%d channels, %d heard", st.Channels, len(last))
	}
	_ = c.Close()
	awaitStats(t, n, "nobody listens", func(st gateway.Stats) bool { return st.Channels == 0 })
}

// jsonFlood is messages for several channels, root's heard by that as well.
type jsonFlood struct {
	channels []string
	count    int
	size     func(i int) int
}

func (f *jsonFlood) channel(i int) string { return f.channels[i*i%len(f.channels)] }

func (f *jsonFlood) deliver(to gateway.Receiver, from, end int) {
	for i := from; i < end; i++ {
		to.Deliver(wide(f.channel(i), i, f.size(i)))
	}
}

// want is the frames of a channel, in order.
func (f *jsonFlood) want(channel string, from, end int) (frames []string) {
	for i := from; i < end; i++ {
		if f.channel(i) == channel {
			frames = append(frames, heardWide(channel, i, f.size(i)))
		}
	}
	return frames
}

// take wants b to be the next of its channel's frames.
func take(frames map[string][]string, a answer) error {
	left := frames[a.Channel]
	if len(left) == 0 || left[0] != a.whole {
		return fmt.Errorf("out of order, %d are left: %.200s", len(left), a.whole)
	}
	frames[a.Channel] = left[1:]
	return nil
}

// A client that reads slowly is written several busy channels, with answers,
// acks, pongs and its own messages in between: each frame is whole, and each
// channel's in order.
func TestJSONInterleaved(t *testing.T) {
	t.Parallel()
	f := jsonFlood{channels: []string{"a", "b", "c", "d"}, count: 1600, size: func(i int) int { return i * 37 % 3000 }}
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 64 << 20}}, r)
	to := <-r.to
	c := openJSONWithin(t, n, "/ws", narrowWindow)
	left := map[string][]string{}
	for _, name := range f.channels {
		c.ask(`{"type":"subscribe","channel":"` + name + `"}`)
		c.answer("subscribed")
		left[name] = f.want(name, 0, f.count)
	}
	const rounds = 40
	step := f.count / rounds
	done := make(chan struct{})
	sent := make(chan error, 1)
	go func() { // it is never quiet, and doesn't wait for its answers
		defer close(done)
		for i := range rounds {
			f.deliver(to, i*step, (i+1)*step)
			to.Deliver(gateway.Message{Client: c.id, Payload: fmt.Append(nil, i), Text: true, MessageID: gateway.MessageID{Publisher: "d", Seq: uint64(i + 1)}})
			frames := masked(rawFin|rawText, fmt.Sprintf(`{"type":"ping","ref":%d}`, i)) + masked(rawFin|rawPing, fmt.Sprint(i)) + masked(rawFin|rawText, publishing(i))
			if _, err := c.Write([]byte(frames)); err != nil {
				sent <- err
				return
			}
			r.wait(within(t), i+1)[i].Settled(gateway.MessageID{Publisher: "p", Seq: uint64(i + 1)}, nil)
		}
		sent <- nil
	}()
	awaitStats(t, n, "it is late", func(st gateway.Stats) bool { return st.LogBytes > 0 })
	seen := map[string]int{}
	for seen["message"] < f.count || seen["direct"] < rounds || seen["pong"] < rounds || seen["ack"] < rounds {
		a, err := c.read()
		if err != nil {
			t.Fatalf("after %v: %v", seen, err)
		}
		i := seen[a.Type]
		seen[a.Type]++
		want := ""
		switch a.Type {
		case "message":
			if err := take(left, a); err != nil {
				t.Fatal(err)
			}
			continue
		case "direct":
			want = fmt.Sprintf(`{"type":"direct","id":"d-%d","data":%d}`, i+1, i)
		case "ack":
			want = fmt.Sprintf(`{"type":"ack","mid":"p-%d","ref":%d}`, i+1, i)
		case "pong":
			if a.ID == "" {
				want = fmt.Sprintf(`{"type":"pong","ref":%d}`, i)
			} else {
				want = fmt.Sprintf(`{"type":"pong","id":"%s","ref":%d}`, a.ID, i)
			}
		}
		if a.whole != want {
			t.Fatalf("got %s, want %s", a.whole, want)
		}
	}
	<-done
	if err := <-sent; err != nil {
		t.Error(err)
	}
	awaitStats(t, n, "nobody lags", func(st gateway.Stats) bool { return st.LogBytes == 0 })
	c.ask(`{"type":"ping"}`)
	if a := c.answer("pong"); a.ID != streamPlace(f.count-1).String() {
		t.Errorf("when all is read: %s", a.whole)
	}
}

// Channels that a late client leaves and joins in the middle of a flood: each
// answer comes behind the last of their messages, in front of the first.
func TestJSONUnsubscribeWhileLate(t *testing.T) {
	t.Parallel()
	f := jsonFlood{channels: []string{"a", "b", "c", "d", "e"}, count: 1000, size: func(i int) int { return 4000 - i*3 }}
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 64 << 20}}, r)
	to := <-r.to
	c := openJSONWithin(t, n, "/ws", narrowWindow)
	left := map[string][]string{}
	for _, name := range f.channels[:4] {
		c.ask(`{"type":"subscribe","channel":"` + name + `"}`)
		c.answer("subscribed")
		left[name] = f.want(name, 0, f.count)
	}
	f.deliver(to, 0, 500)
	awaitStats(t, n, "it is late", func(st gateway.Stats) bool { return st.LogBytes > 0 })
	c.ask(`{"type":"unsubscribe","channel":"b"}`, `{"type":"unsubscribe","channel":"d"}`, `{"type":"subscribe","channel":"e"}`,
		`{"type":"unsubscribe","channel":"c"}`, `{"type":"subscribe","channel":"c"}`)
	awaitStats(t, n, "all is done", func(st gateway.Stats) bool { return st.Received == 9 })
	left["e"] = f.want("e", 500, f.count)
	f.deliver(to, 500, f.count)
	gone := map[string]bool{}
	for len(left["a"])+len(left["c"])+len(left["e"]) > 0 {
		a, err := c.read()
		switch {
		case err != nil:
			t.Fatal(err)
		case a.Type == "unsubscribed":
			gone[a.Channel] = true
		case a.Type == "subscribed":
			if a.ID != streamPlace(499).String() {
				t.Errorf("got %s", a.whole)
			}
			left[a.Channel] = f.want(a.Channel, 500, f.count)
			gone[a.Channel] = false
		case gone[a.Channel] || a.Type != "message":
			t.Fatalf("left %v: %.200s", gone, a.whole)
		default:
			if err := take(left, a); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !gone["b"] || !gone["d"] || gone["c"] {
		t.Errorf("left %v", gone)
	}
	c.ask(`{"type":"ping"}`)
	if a := c.answer("pong"); a.ID != streamPlace(f.count-1).String() {
		t.Errorf("when all is read: %s", a.whole)
	}
}

// Clients that are late for one channel are late for all: none loses anything,
// and others, quick ones, don't notice.
func TestJSONLateOnAll(t *testing.T) {
	t.Parallel()
	const rounds, quietOnes = 60, 3
	r := newRecorder()
	n := start(t, gateway.Options{Shards: 1, Clients: gateway.ClientOptions{MaxLag: 64 << 20}}, r)
	to := <-r.to
	slow, quick := openJSONWithin(t, n, "/ws", narrowWindow), openJSON(t, n, "/ws")
	names := []string{"busy", "q0", "q1", "q2"}
	for _, c := range []*jsonConn{slow, quick} {
		for _, name := range names {
			c.ask(`{"type":"subscribe","channel":"` + name + `"}`)
			c.answer("subscribed")
		}
	}
	left := map[string][]string{}
	number := 0
	say := func(name string, size int) {
		to.Deliver(wide(name, number, size))
		want := heardWide(name, number, size)
		left[name] = append(left[name], want)
		quick.says(want)
		number++
	}
	for i := range rounds {
		say("busy", 16<<10)
		say(names[1+i%quietOnes], 10)
	}
	total := number
	for range total {
		a := slow.answer("message")
		if err := take(left, a); err != nil {
			t.Fatal(err)
		}
	}
	slow.ask(`{"type":"ping"}`)
	if a := slow.answer("pong"); a.ID == "" {
		t.Error("it read all, and is behind")
	}
	for _, name := range names { // it is back
		say(name, 20)
		slow.says(left[name][0])
	}
}

// What a slow client is not given of each of its channels, it is told.
func TestJSONSkip(t *testing.T) {
	t.Parallel()
	f := jsonFlood{channels: []string{"a", "b"}, count: 1500, size: func(i int) int { return 2000 + i%100 }}
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: 256 << 10, Slow: gateway.SlowSkip}}, r)
	to := <-r.to
	c, quiet := openJSONWithin(t, n, "/ws", narrowWindow), openJSON(t, n, "/ws/quiet")
	quiet.answer("subscribed")
	for _, name := range []string{"a", "b", "quiet"} {
		c.ask(`{"type":"subscribe","channel":"` + name + `"}`)
		c.answer("subscribed")
	}
	f.deliver(to, 0, f.count)
	// It doesn't read: that it keeps something of the logs alive will show.
	awaitStats(t, n, "it is skipped", func(st gateway.Stats) bool { return st.Skips > 0 && st.LogBytes > 0 })
	missed := map[string]int{}
	left := map[string][]string{"a": f.want("a", 0, f.count), "b": f.want("b", 0, f.count)}
	done := make(chan error, 1)
	go func() { done <- readSkipped(c, left, missed, f.count) }()
	awaitStats(t, n, "it has read what is left", func(st gateway.Stats) bool { return st.LogBytes == 0 })
	for _, name := range []string{"a", "b"} {
		to.Deliver(streamed(name, f.count))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if st := n.Stats(); uint64(missed["a"]+missed["b"]) != st.Skipped || missed["a"] == 0 || missed["b"] == 0 || st.Evicted != 0 {
		t.Errorf("missing are %v, %+v", missed, st)
	}
	c.quiet()
}

// readSkipped reads until each channel's last message, and counts what is missing
// before, of which a gap must tell.
func readSkipped(c *jsonConn, left map[string][]string, missed map[string]int, last int) error {
	told := map[string]bool{}
	for ends := 0; ends < len(left); {
		a, err := c.read()
		name := a.Channel
		switch {
		case err != nil:
			return err
		case a.Type == "gap":
			if a.whole != `{"type":"gap","channel":"`+name+`"}` || len(left[name]) == 0 {
				return errors.New(a.whole)
			}
			told[name] = true
			continue
		case a.whole == heard(name, last):
			missed[name] += len(left[name])
			if len(left[name]) > 0 && !told[name] {
				return fmt.Errorf("the last %d of %q are missing", len(left[name]), name)
			}
			ends++
			continue
		}
		for len(left[name]) > 0 && left[name][0] != a.whole {
			if !told[name] {
				return fmt.Errorf("missing in front of %.100s", a.whole)
			}
			left[name] = left[name][1:]
			missed[name]++
		}
		told[name] = false
		if err := take(left, a); err != nil {
			return err
		}
	}
	return nil
}

// The sum of what a client lags by counts.
func TestJSONSlowClosed(t *testing.T) {
	t.Parallel()
	const maxLag, names = 128 << 10, 8
	r := newRecorder()
	n := start(t, gateway.Options{Clients: gateway.ClientOptions{MaxLag: maxLag, CloseTimeout: 3 * patience}}, r)
	to := <-r.to
	c := openJSONWithin(t, n, "/ws", narrowWindow)
	left := map[string][]string{}
	for i := range names {
		c.ask(fmt.Sprintf(`{"type":"subscribe","channel":"%d"}`, i))
		c.answer("subscribed")
	}
	i := 0
	for ; n.Stats().Evicted == 0; i++ {
		if i > 10_000 {
			t.Fatal("it is never closed")
		}
		name := fmt.Sprint(i % names)
		to.Deliver(wide(name, i, 2000))
		left[name] = append(left[name], heardWide(name, i, 2000))
	}
	got := 0
	for ; ; got++ {
		a, err := c.read()
		if closed := (closedError{}); errors.As(err, &closed) {
			if closed.code != 1013 || closed.reason != "slow consumer" {
				t.Error(err)
			}
			break
		}
		if err == nil {
			err = take(left, a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got == 0 || got == i {
		t.Errorf("it read %d of %d", got, i)
	}
	awaitStats(t, n, "nothing is left of it", func(st gateway.Stats) bool { return st.LogBytes == 0 && st.Channels == 0 })
}

// A node that stops writes all that is due, of all channels, first.
func TestJSONStop(t *testing.T) {
	t.Parallel()
	f := jsonFlood{channels: []string{"a", "b", "c"}, count: 700, size: func(i int) int { return i }}
	o := keeping(2000)
	o.Clients = gateway.ClientOptions{MaxLag: 64 << 20, CloseTimeout: patience}
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	f.deliver(to, 0, f.count/2)
	c, quick := openJSONWithin(t, n, "/ws", narrowWindow), openJSON(t, n, "/ws/a")
	left := map[string][]string{}
	for _, name := range f.channels {
		c.ask(`{"type":"subscribe","channel":"` + name + `","history":2000}`)
		left[name] = f.want(name, 0, f.count)
	}
	awaitStats(t, n, "it is there", func(st gateway.Stats) bool { return st.Resumed == 3 && st.Clients == 2 })
	f.deliver(to, f.count/2, f.count)
	c.ask(publishing(0))
	m := r.wait(within(t), 1)[0]
	stopped := stopping(t, n)
	awaitStats(t, n, "both are told", func(st gateway.Stats) bool { return st.Closed[1012] == 2 })
	m.Settled(gateway.MessageID{Publisher: "p"}, nil) // too late
	places := 0
	for {
		a, err := c.read()
		if errors.Is(err, closedError{1012, "the node restarts"}) {
			break
		}
		if a.Type == "subscribed" {
			places++
			continue
		}
		if err == nil {
			err = take(left, a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if places != 3 || len(left["a"])+len(left["b"])+len(left["c"]) != 0 {
		t.Errorf("%d subscriptions, and not come are %d, %d, %d", places, len(left["a"]), len(left["b"]), len(left["c"]))
	}
	_ = c.Close()
	_ = quick.Close()
	<-stopped
}
