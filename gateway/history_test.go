package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"warren/gateway"
)

// keeping is options with a history of so many messages.
func keeping(messages int) gateway.Options {
	return gateway.Options{History: gateway.HistoryOptions{Messages: messages}}
}

// TestHistoryOptions: what can't work is refused with what is allowed.
func TestHistoryOptions(t *testing.T) {
	for _, c := range []struct {
		history gateway.HistoryOptions
		logs    int64
		says    string // empty: it is accepted
	}{
		{gateway.HistoryOptions{}, 0, ""},
		{gateway.HistoryOptions{}, 1 << 20, ""}, // no history, no matter
		{gateway.HistoryOptions{Messages: 1 << 20}, 0, ""},
		{gateway.HistoryOptions{Messages: 1, Bytes: 1 << 20, Age: 7 * 24 * time.Hour}, 1 << 20, ""},
		{gateway.HistoryOptions{Messages: -1}, 0, "0 to 1048576"},
		{gateway.HistoryOptions{Messages: 1<<20 + 1}, 0, "0 to 1048576"},
		{gateway.HistoryOptions{Messages: 1}, 1 << 20, "memory logs, 1048576"},
		{gateway.HistoryOptions{Messages: 1, Bytes: 300 << 20}, 0, "memory logs, 268435456"},
		{gateway.HistoryOptions{Bytes: -1}, 0, "memory logs"},
		{gateway.HistoryOptions{Age: -time.Second}, 0, "168h"},
		{gateway.HistoryOptions{Age: 7*24*time.Hour + 1}, 0, "168h"},
	} {
		_, err := gateway.New(gateway.Options{History: c.history, Memory: gateway.MemoryOptions{Logs: c.logs}}, gateway.NewEmbedded())
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// message is number i of a channel, with the id that a stream would give it.
func message(channel string, i int) gateway.Message {
	return gateway.Message{Channel: channel, Payload: numbered(i, 64), ID: idOf(i)}
}

// idOf leaves holes between offsets, as streams do.
func idOf(i int) gateway.ID { return gateway.ID{Offset: uint64(1000 + 3*i), Check: uint32(7 + i)} }

func since(channel string, id gateway.ID) string { return "/ws/" + channel + "?since=" + id.String() }

// expectNumbers wants messages from to to, both included.
func (l *listener) expectNumbers(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		b, err := l.next()
		if err != nil || number(b) != i {
			t.Fatalf("instead of message %d: %.20q, %v", i, b, err)
		}
	}
}

// TestHistory: a client may begin in the past, as far back as the tightest limit
// lets it, and goes on without a seam.
func TestHistory(t *testing.T) {
	const frame = 2 + 64
	long := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name    string
		history gateway.HistoryOptions
		old     int // of the messages, how many are an hour old
		asked   string
		first   int // of 30
	}{
		{"off", gateway.HistoryOptions{}, 0, "?history=10", 30},
		{"not asked for", gateway.HistoryOptions{Messages: 10}, 0, "", 30},
		{"none asked for", gateway.HistoryOptions{Messages: 10}, 0, "?history=0", 30},
		{"one", gateway.HistoryOptions{Messages: 10}, 0, "?history=1", 29},
		{"some", gateway.HistoryOptions{Messages: 10}, 0, "?a=b&history=7&c", 23},
		{"all", gateway.HistoryOptions{Messages: 10}, 0, "?history=10", 20},
		{"more than there are", gateway.HistoryOptions{Messages: 10}, 0, "?history=999999999", 20},
		{"more than were", gateway.HistoryOptions{Messages: 100}, 0, "?history=50", 0},
		{"by bytes", gateway.HistoryOptions{Messages: 100, Bytes: 12 * frame}, 0, "?history=50", 18},
		{"by bytes, not quite", gateway.HistoryOptions{Messages: 100, Bytes: 12*frame - 1}, 0, "?history=50", 19},
		{"no byte", gateway.HistoryOptions{Messages: 100, Bytes: 1}, 0, "?history=50", 30},
		{"by age", gateway.HistoryOptions{Messages: 100, Age: 30 * time.Minute}, 17, "?history=50", 17},
		{"all too old", gateway.HistoryOptions{Messages: 100, Age: 30 * time.Minute}, 30, "?history=50", 30},
		{"none too old", gateway.HistoryOptions{Messages: 100, Age: 2 * time.Hour}, 30, "?history=50", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder()
			n := start(t, gateway.Options{History: c.history}, r)
			to := <-r.to
			for i := range 30 {
				m := message("room", i)
				if i < c.old {
					m.At, m.Replayed = long, true
				}
				to.Deliver(m)
			}
			inRoom, inRoot := listen(t, n, "/ws/room"+c.asked, smallWindow), listen(t, n, "/ws"+c.asked, smallWindow)
			to.Deliver(message("room", 30))
			inRoom.expectNumbers(t, c.first, 30)
			inRoot.expectNumbers(t, c.first, 30)
		})
	}
}

// TestHistoryOfChannels: each channel has its own, root has all.
func TestHistoryOfChannels(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	for i := range 40 {
		to.Deliver(message([]string{"a", "b", "", "no channel"}[i%4], i))
	}
	if st := n.Stats(); st.Channels != 0 || st.Unheard != 40 || st.History == 0 {
		t.Errorf("%+v", st)
	}
	listen(t, n, "/ws?history=100", smallWindow).expectNumbers(t, 0, 39)
	for i, name := range []string{"a", "b"} {
		l := listen(t, n, "/ws/"+name+"?history=100", smallWindow)
		for j := i; j < 40; j += 4 {
			l.expectNumbers(t, j, j)
		}
	}
	if st := n.Stats(); st.Channels != 3 || st.Resumed != 3 || st.Missed != 0 {
		t.Errorf("%+v", st)
	}
}

// TestSince: who knows an id goes on behind it, or is told that it can't.
func TestSince(t *testing.T) {
	const messages, kept = 50, 20 // 0 to 29 are gone
	o := keeping(kept)
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	for i := range messages {
		to.Deliver(message("room", i))
	}
	for i := range messages {
		l, gap := resume(t, n, since("room", idOf(i)), smallWindow)
		// Who has the last that is gone misses nothing.
		if want := i < messages-kept-1; gap != want {
			t.Errorf("since message %d: Warren-Gap %v, want %v", i, gap, want)
		}
		l.expectNumbers(t, max(i+1, messages-kept), messages-1)
	}
	to.Deliver(message("other", messages))
	other := idOf(messages)
	between := idOf(40)
	between.Offset++
	forged := idOf(40)
	forged.Check++
	for _, c := range []struct {
		name, path string
		gap        bool
		first      int
	}{
		{"offset that was skipped", since("room", between), true, 30},
		{"wrong check", since("room", forged), true, 30},
		{"another channel's", since("room", other), false, 50},
		{"zero", "/ws/room?since=0-00000001", true, 30},
		{"unknown, few wanted", since("room", forged) + "&history=4", true, 46},
		{"unknown, none wanted", since("room", forged) + "&history=0", true, 50},
		{"unknown, many wanted", since("room", forged) + "&history=40", true, 30},
		{"known, few wanted", since("room", idOf(40)) + "&history=4", true, 46},
		{"known, enough wanted", "/ws/room?history=9&since=" + idOf(40).String(), false, 41},
		{"the last, none wanted", since("room", idOf(49)) + "&history=0", false, 50},
	} {
		l, gap := resume(t, n, c.path, smallWindow)
		if gap != c.gap {
			t.Errorf("%s: Warren-Gap %v", c.name, gap)
		}
		l.expectNumbers(t, c.first, messages-1)
		l.expectNothing(t)
	}
	for id, want := range map[gateway.ID]bool{idOf(3): false, forged: true} {
		if _, gap := resume(t, n, "/ws/nobody/was/here?since="+id.String(), smallWindow); gap != want {
			t.Errorf("since %v on a channel that never was: Warren-Gap %v", id, gap)
		}
	}
	if _, gap := resume(t, n, "/ws?since="+other.String(), smallWindow); gap {
		t.Error("root doesn't know another channel's message")
	}
	if st := n.Stats(); st.Awaited != 0 {
		t.Errorf("%d clients waited for a message of the past", st.Awaited)
	}
}

// expectNothing wants nothing in the client's buffers but what comes now, by the
// answer to a ping.
func (l *listener) expectNothing(t *testing.T) {
	t.Helper()
	if _, err := l.conn.Write([]byte(masked(rawFin|rawPing, "?"))); err != nil {
		t.Fatal(err)
	}
	b, err := l.in.Peek(3)
	if err != nil || string(b) != "\x8a\x01?" {
		t.Fatalf("instead of a pong: % x, %v", b, err)
	}
	_, _ = l.in.Discard(3)
}

// TestSinceWithoutHistory: nothing is known, and said so.
func TestSinceWithoutHistory(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{}, r)
	to := <-r.to
	first := listen(t, n, "/ws/room", smallWindow)
	to.Deliver(message("room", 0))
	first.expectNumbers(t, 0, 0)
	l, gap := resume(t, n, since("room", idOf(0))+"&history=5", smallWindow)
	if !gap {
		t.Error("no Warren-Gap")
	}
	to.Deliver(message("room", 1))
	l.expectNumbers(t, 1, 1)
	if st := n.Stats(); st.History != 0 {
		t.Errorf("%d bytes of history", st.History)
	}
}

// TestSinceNewOffsets: a stream that was made anew repeats offsets. Ids of both
// lead where they belong.
func TestSinceNewOffsets(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(1000), r)
	to := <-r.to
	ids := make([]gateway.ID, 60)
	for i := range ids {
		ids[i] = gateway.ID{Offset: uint64(100 + i%20), Check: uint32(1 + i)}
		m := message("room", i)
		m.ID = ids[i]
		to.Deliver(m)
	}
	for i, id := range ids {
		l, gap := resume(t, n, since("room", id), smallWindow)
		if gap {
			t.Errorf("since message %d: Warren-Gap", i)
		}
		l.expectNumbers(t, i+1, len(ids)-1)
	}
}

// TestMemoryLogsHistory: over all channels, the oldest history goes first, and
// whole channels with it; only then who lags.
func TestMemoryLogsHistory(t *testing.T) {
	const logs, channels = 2 << 20, 20_000
	o := keeping(100)
	o.Memory.Logs, o.History.Bytes = logs, 1<<20
	o.Clients.MaxLag = 8 << 20
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	for i := range channels {
		m := message(fmt.Sprint("channel/", i), i)
		to.Deliver(m)
		if st := n.Stats().History; st > logs {
			t.Fatalf("after %d channels: %d bytes of history", i+1, st)
		}
	}
	st := n.Stats()
	if st.History < logs*3/4 || st.Trimmed == 0 {
		t.Errorf("%+v", st)
	}
	gaps := []int{}
	for _, i := range []int{0, channels / 2, channels - 1000, channels - 1} {
		if _, gap := resume(t, n, since(fmt.Sprint("channel/", i), idOf(i)), smallWindow); gap {
			gaps = append(gaps, i)
		}
	}
	if !slices.Equal(gaps, []int{0, channels / 2}) {
		t.Errorf("forgotten are channels %v of %d", gaps, channels)
	}
	// What one keeps alive alone is over the bound: history can't help.
	listen(t, n, "/ws/big", smallWindow)
	for i := range 240 {
		to.Deliver(gateway.Message{Channel: "big", Payload: numbered(i, 16<<10)})
	}
	awaitStats(t, n, "it goes", func(st gateway.Stats) bool { return st.Shed == 1 && st.LogBytes == 0 })
	to.Deliver(message("big", 0))
	if st := n.Stats(); st.History == 0 || st.History > logs || st.Evicted != 0 {
		t.Errorf("%+v", st)
	}
}
