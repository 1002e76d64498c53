package gateway_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"warren/gateway"
)

// TestResumeUnderLoad: while a source delivers as fast as it may, clients come
// and go and resume where they were. Each gets every message once, in order,
// and is told of no gap.
func TestResumeUnderLoad(t *testing.T) {
	const messages, clients, visits = 40_000, 24, 8
	o := keeping(messages)
	o.Shards = 3
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	var group sync.WaitGroup
	group.Go(func() {
		for i := range messages {
			for hold := to.Hold(); hold != nil; hold = to.Hold() {
				<-hold
			}
			to.Deliver(message("room", i))
		}
	})
	for i := range clients {
		channel := "room"
		if i%4 == 0 {
			channel = ""
		}
		group.Go(func() {
			v := visitor{n: n, channel: channel, random: rand.New(rand.NewPCG(uint64(i), 7)), last: -1}
			for visit := 0; v.last < messages-1; visit++ {
				most := 1 + v.random.IntN(2*messages/visits)
				if visit >= visits {
					most = messages
				}
				if err := v.visit(t, most, messages); err != nil {
					t.Errorf("client %d, visit %d, after message %d: %v", i, visit, v.last, err)
					return
				}
			}
		})
	}
	group.Wait()
	st := n.Stats()
	if st.Missed != 0 || st.Resumed == 0 || st.Skips != 0 {
		t.Errorf("%+v", st)
	}
	t.Logf("resumed %d times, evicted %d, source held back %d times", st.Resumed, st.Evicted, st.Holds)
}

// visitor is a client that comes back.
type visitor struct {
	n       *node
	channel string
	random  *rand.Rand
	last    int // message; -1: none
}

// visit reads so many messages, or to the end of all, and leaves.
func (v *visitor) visit(t *testing.T, most, end int) error {
	path := "/ws/" + v.channel
	if v.channel == "" {
		path = "/ws"
	}
	switch {
	case v.last >= 0:
		path += "?since=" + idOf(v.last).String()
	default:
		path += fmt.Sprintf("?history=%d", end)
	}
	l, gap := resume(t, v.n, path, smallWindow)
	defer l.conn.Close()
	if gap {
		return errors.New("Warren-Gap")
	}
	for ; most > 0 && v.last < end-1; most-- {
		b, err := l.next()
		if errors.Is(err, closedError{1013, "slow consumer"}) {
			return nil // this machine is busy: come back
		}
		if err != nil {
			return err
		}
		if got := number(b); got != v.last+1 {
			return fmt.Errorf("got message %d", got)
		}
		v.last++
	}
	return nil
}

// TestResumeAtTheFront: a client that knows the last message gets the next,
// whether or not others have been written the last.
func TestResumeAtTheFront(t *testing.T) {
	const messages = 500
	r := newRecorder()
	n := start(t, gateway.Options{Shards: 1, History: gateway.HistoryOptions{Messages: messages}}, r)
	to := <-r.to
	first := listen(t, n, "/ws/room", smallWindow)
	var all []*listener
	for i := range messages {
		to.Deliver(message("room", i))
		if i%10 == 0 {
			l, gap := resume(t, n, since("room", idOf(i)), smallWindow)
			if gap {
				t.Errorf("since the last message, %d: Warren-Gap", i)
			}
			all = append(all, l)
		}
	}
	first.expectNumbers(t, 0, messages-1)
	for i, l := range all {
		l.expectNumbers(t, 10*i+1, messages-1)
	}
	awaitStats(t, n, "nobody lags", func(st gateway.Stats) bool { return st.LogBytes == 0 })
}

// TestResumeMuch: clients that ask for more than clients.max_lag get it all,
// while live ones go on.
func TestResumeMuch(t *testing.T) {
	const messages, size, clients = 4000, 1 << 10, 20
	o := keeping(messages)
	o.Clients.MaxLag = 64 << 10
	r := newRecorder()
	n := start(t, o, r)
	to := <-r.to
	for i := range messages {
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, size)})
	}
	live := listen(t, n, "/ws/room", smallWindow)
	var all []*listener
	for range clients {
		all = append(all, listen(t, n, "/ws/room?history=4000", smallWindow))
	}
	done := make(chan error, clients)
	for _, l := range all {
		go func() {
			for i := range messages + 100 {
				if b, err := l.next(); err != nil || number(b) != i {
					done <- fmt.Errorf("instead of message %d: %.20q, %w", i, b, err)
					return
				}
			}
			done <- nil
		}()
	}
	for i := range 100 {
		to.Deliver(gateway.Message{Channel: "room", Payload: numbered(messages+i, size)})
		live.expectNumbers(t, messages+i, messages+i)
	}
	for range all {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	awaitStats(t, n, "all have caught up", func(st gateway.Stats) bool { return st.LogBytes == 0 })
	if st := n.Stats(); st.Evicted != 0 || st.Shed != 0 || st.Resumed != clients {
		t.Errorf("%+v", st)
	}
}

// TestResumeFrozen: a client that asks for much and takes nothing is slow, and
// holds back nobody meanwhile.
func TestResumeFrozen(t *testing.T) {
	t.Parallel()
	const messages, size = 300, 8 << 10
	for name, policy := range map[string]gateway.SlowPolicy{"close": gateway.SlowClose, "skip": gateway.SlowSkip} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := keeping(messages)
			o.Clients = gateway.ClientOptions{MaxLag: 256 << 10, Slow: policy, CloseTimeout: 3 * patience}
			r := newRecorder()
			n := start(t, o, r)
			to := <-r.to
			for i := range messages {
				to.Deliver(gateway.Message{Channel: "room", Payload: numbered(i, size)})
			}
			frozen := listen(t, n, "/ws/room?history=300", smallWindow)
			awaitStats(t, n, "it is found slow", func(st gateway.Stats) bool { return st.Evicted+st.Skips > 0 })
			to.Deliver(gateway.Message{Channel: "room", Payload: numbered(messages, size)})
			got := -1
			for {
				b, err := frozen.next()
				if err != nil {
					if !errors.Is(err, closedError{1013, "slow consumer"}) || policy != gateway.SlowClose {
						t.Error(err)
					}
					break
				}
				if i := number(b); i != got+1 && (i != messages || policy != gateway.SlowSkip) {
					t.Fatalf("message %d after %d", i, got)
				}
				if got = number(b); got == messages {
					break
				}
			}
			st := n.Stats()
			if got == 0 || policy == gateway.SlowSkip && (got != messages || st.Skipped == 0) || st.Holds != 0 {
				t.Errorf("last message %d, %+v", got, st)
			}
		})
	}
}
