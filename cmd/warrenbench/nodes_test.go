//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

func TestBenchmarksOfNodes(t *testing.T) {
	few := live{clients: 5, rate: 50}
	for _, c := range []struct {
		name  string
		bench benchmark
		want  []string // figures
	}{
		{"stream", relay{senders: 2, receivers: 3, warm: 100, messages: 3000, trials: 1, atLeast: 1e-9},
			[]string{"messages a second, node to node", "the same beside messages with ids", "CPU a message meanwhile"}},
		{"catchup", catchup{clients: 2, messages: 3000, trials: 2, atLeast: 1e-9},
			[]string{"messages a second, catching up"}},
		{"replay", replay{live: few, resumers: 5, messages: 300, window: 300 * time.Millisecond, trials: 1, atMost: 1e9},
			[]string{"p99 while others resume the same channel", "the same beside another server's replay",
				"p99 while others resume another channel", "the same beside another server's replay",
				"p99 while others resume the same channel, all in JSON", "the same beside another server's replay"}},
		{"json", jsonProtocol{
			delivery:   delivery{clients: 20, warm: 2, rounds: 20, trials: 2, atMost: 1e6},
			publish:    publish{warm: 10, messages: 300, trials: 1},
			throughput: throughput{clients: 20, warm: 50 * time.Millisecond, window: 200 * time.Millisecond, trials: 1},
		}, []string{"CPU a delivery in JSON, 20 clients", "CPU a message published in JSON, with its ack",
			"deliveries a second in JSON, 20 clients", "CPU a delivery meanwhile"}},
		{"storm", storm{live: few, clients: 100, gusts: 2, calm: 200 * time.Millisecond, trials: 2, atLeast: 1e-9, atMost: 1e9},
			[]string{"100 clients come back at once: taken in a second", "CPU a client, lost and taken in",
				"p99 of clients already there", "the same beside a storm on a bare loop"}},
		{"refusal", refusal{clients: 200, trials: 1, atMost: 1e9}, []string{"CPU a refusal"}},
		{"drain", departure{clients: 60, rate: 10, delay: 100 * time.Millisecond, period: time.Second, trials: 1, atMost: 1e9},
			[]string{"drain of 60 clients: closed in the fullest second", "from the first close to the last"}},
		{"outage", bystanders{live: few, backlog: 3000, window: 300 * time.Millisecond, trials: 1, atMost: 1e9},
			[]string{"p99 while another node catches up", "the same beside a bare program's catching up"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			figures, err := c.bench.run(t.Context(), nodesBench(t))
			if err != nil {
				t.Fatal(err)
			}
			checkFigures(t, figures, c.want, true)
		})
	}
}

// What the yardstick published is read again from where it says that it begins.
func TestRabbitReadsWhatItPublished(t *testing.T) {
	k, err := sharedBroker()
	if err != nil {
		t.Fatal(err)
	}
	r := rabbit{url: k.through(k.addr), exchange: "rabbit.test", stream: "rabbit.test", key: "a", declare: true, size: 20, from: -1, count: 2500}
	fill, read, beyond := r, r, r
	fill.publish = true
	var offsets []int64
	for range 2 {
		v, err := fill.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, v.Offset)
	}
	if offsets[1] < offsets[0]+2500 {
		t.Errorf("offsets %d of rows of 2500", offsets)
	}
	read.consume = true
	for _, read.from = range offsets {
		if v, err := read.run(t.Context()); err != nil || v.Offset != read.from || v.Consumed <= 0 {
			t.Errorf("from offset %d: %+v, %v", read.from, v, err)
		}
	}
	for _, c := range []struct {
		change func(*rabbit)
		want   string
	}{
		{func(r *rabbit) { r.from++ }, `message "00000001xxxxxxxxxxxx" where number 0 should be`},
		{func(r *rabbit) { r.count++ }, `message "00000000xxxxxxxxxxxx" where number 2500 should be`},
		{func(r *rabbit) { r.key = "b" }, `message with key "a"`},
		{func(r *rabbit) { r.size++ }, "message of 20 bytes, want 21"},
		{func(r *rabbit) { r.declare, r.stream = false, "none" }, "consume from none"},
	} {
		beyond = read
		beyond.from = offsets[0]
		c.change(&beyond)
		if _, err := beyond.run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	fill.exchange, fill.declare = "amq.fanout", false
	if _, err := fill.run(t.Context()); err == nil || !strings.Contains(err.Error(), "a message came back") {
		t.Errorf("no queue bound: error %v", err)
	}
}
