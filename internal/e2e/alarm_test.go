package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"warren/amqp/amqptest"
	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// RabbitMQ raises a memory alarm under full load and keeps it up for a minute.
// Senders wait, nobody is cut off, what was published before still arrives, also
// at a node that starts meanwhile; that one stops in the middle of it, in time,
// though what its clients sent can't be published. When the alarm is over
// everything arrives, once, in one order.
func TestMemoryAlarm(t *testing.T) {
	const held = time.Minute
	// As fast as sockets take, the usual 1 MiB is some 50 ms of messages: less than
	// a busy machine may keep a client of ours from reading.
	patient := keeps + "clients: {max_lag: 16MiB}\n"
	b := amqptest.New(t, amqptest.Options{})
	h := rigtest.NewHall(t, rigtest.HallOptions{
		Nodes:   []string{b.URL(), b.URL()},
		Config:  patient,
		Program: []string{b.URL()},
		Stream:  true,
		Clients: 5,
		Senders: 2,
		Pad:     1000,
		Kernel:  64 << 10,
	})
	h.AwaitNew(20)
	rigtest.Ctl(t, b, "set_vm_memory_high_watermark", "0")
	over := time.NewTimer(held)
	defer over.Stop()
	confirmed := h.Program.Confirmed()
	awaitStuck(t, h)
	rigtest.AwaitNumbers(t, h.Clients, []rig.Source{h.Program}, []int{confirmed - 1})

	late := rigtest.ReadyNode(t, "late", b.URL(), patient)
	visitors := rigtest.JoinMany(t, late, "/ws/"+rigtest.Room+"?history=100000", 3, rig.ClientOptions{})
	rigtest.AwaitNumbers(t, visitors, []rig.Source{h.Program}, []int{confirmed - 1})
	talkers := rig.Senders(visitors[:1], 1000)
	rigtest.Check(t, talkers[0].SendMany(100))
	stopped := make(chan error, 1)
	go func() { stopped <- late.Stop(time.Minute) }() // clients, plain requests and confirms take 31 s at most
	for _, c := range visitors {
		rigtest.Left(t, c, rig.Restarts)
	}
	rigtest.Check(t, <-stopped)

	stays(t, h, over.C)
	rigtest.Ctl(t, b, "set_vm_memory_high_watermark", "0.4")
	h.AwaitNew(20)
	h.End(b.URL())
	for _, n := range h.Nodes {
		if gaps := n.Log.Lines(`msg="gap: `); len(gaps) > 0 {
			t.Errorf("%s announced %q", n.Name, gaps)
		}
	}
}

// awaitStuck waits until nobody can send any more.
func awaitStuck(t *testing.T, h *rigtest.Hall) {
	t.Helper()
	const long = 3 * time.Second
	was, since := rigtest.Marks(h.Sources), time.Now()
	rigtest.Await(t, func() error {
		is := rigtest.Marks(h.Sources)
		if !slices.Equal(was, is) {
			was, since = is, time.Now()
		}
		if time.Since(since) < long {
			return fmt.Errorf("sources still send: %v", is)
		}
		return nil
	})
}

// stays checks until over that nodes are ready and linked, and clients connected.
func stays(t *testing.T, h *rigtest.Hall, over <-chan time.Time) {
	t.Helper()
	before := losses(h)
	defer func() {
		if after := losses(h); after > before {
			t.Errorf("the nodes lost %d links", after-before)
		}
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, n := range h.Nodes {
			if status, body := n.Get("/readyz"); status != 200 {
				t.Fatalf("/readyz of %s: %d %s", n.Name, status, body)
			}
		}
		for _, c := range h.Clients {
			select {
			case <-c.Done():
				t.Fatalf("%s was cut off: %v", c.Who, c.Err())
			default:
			}
		}
		select {
		case <-tick.C:
		case <-over:
			return
		}
	}
}

// losses is how often the nodes lost their links.
func losses(h *rigtest.Hall) (count int) {
	for _, n := range h.Nodes {
		count += len(n.Log.Lines("lost the link")) + len(n.Log.Lines("can't publish"))
	}
	return count
}
