package gateway_test

import (
	"io"
	"runtime"
	"testing"

	"warren/gateway"
)

// mallocs counts the allocations of the whole process while do runs.
func mallocs(do func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs)
}

// deliverTo delivers messages in step to so many clients and returns the
// allocations of all of it.
func deliverTo(tb testing.TB, o gateway.Options, clients, messages int) float64 {
	tb.Helper()
	r := newRecorder()
	n := start(tb, o, r)
	to := <-r.to
	var all []*listener
	for range clients {
		l := listen(tb, n, "/ws/room", 64<<10)
		l.buf = make([]byte, 64)
		all = append(all, l)
	}
	m := gateway.Message{Channel: "room", Payload: make([]byte, 64)}
	step := func() {
		to.Deliver(m)
		for _, l := range all {
			if _, err := l.next(); err != nil {
				tb.Fatal(err)
			}
		}
	}
	for range 100 {
		step() // pools and buffers grow
	}
	return mallocs(func() {
		for range messages {
			step()
		}
	})
}

// A delivered copy costs no allocation, a message from Deliver on less than
// two, its payload included; and no more if it is kept.
func TestDeliverAllocations(t *testing.T) {
	const messages = 2000
	for _, o := range []gateway.Options{{}, keeping(1000)} {
		few, many := deliverTo(t, o, 1, messages), deliverTo(t, o, 20, messages)
		if perMessage := few / messages; perMessage > 2 {
			t.Errorf("history of %d: %.2f allocations a message", o.History.Messages, perMessage)
		}
		if perCopy := (many - few) / (19 * messages); perCopy > 0.005 {
			t.Errorf("history of %d: %.4f allocations a delivered copy", o.History.Messages, perCopy)
		}
	}
}

// pingTo sends pings in step and returns the allocations of all of it.
func pingTo(tb testing.TB, pings int) float64 {
	tb.Helper()
	n := start(tb, gateway.Options{}, newRecorder())
	l := listen(tb, n, "/ws", 64<<10)
	ping, pong := []byte(masked(rawFin|rawPing, "12345678")), make([]byte, 10)
	step := func() {
		if _, err := l.conn.Write(ping); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(l.in, pong); err != nil || string(pong[2:]) != "12345678" {
			tb.Fatalf("pong of %q: %v", pong, err)
		}
	}
	for range 100 {
		step()
	}
	return mallocs(func() {
		for range pings {
			step()
		}
	})
}

// Pings and pongs cost none.
func TestPingAllocations(t *testing.T) {
	const pings = 5000
	if each := pingTo(t, pings) / pings; each > 0.02 {
		t.Errorf("%.3f allocations a ping", each)
	}
}

// BenchmarkDeliver delivers one message at a time to a hundred clients.
func BenchmarkDeliver(b *testing.B) { benchmarkDeliver(b, gateway.Options{}) }

// BenchmarkDeliverKeeping is the same with a history.
func BenchmarkDeliverKeeping(b *testing.B) { benchmarkDeliver(b, keeping(1000)) }

func benchmarkDeliver(b *testing.B, o gateway.Options) {
	total := deliverTo(b, o, 100, b.N)
	b.ReportMetric(total/float64(b.N), "allocs/message")
	b.ReportMetric(total/float64(b.N)/100, "allocs/copy")
}

// BenchmarkPing sends one ping at a time.
func BenchmarkPing(b *testing.B) {
	b.ReportMetric(pingTo(b, b.N)/float64(b.N), "allocs/ping")
}
