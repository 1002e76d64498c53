package rigtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"warren/internal/rig"
)

// HallOptions says what is in a Hall.
type HallOptions struct {
	Nodes   []string // for each, its AMQP URL, or several, comma-separated
	Config  string   // of the nodes
	Program []string // the AMQP program's URLs
	Stream  bool     // the nodes' delivery

	Clients int           // on each node
	Senders int           // of these
	Pace    time.Duration // between two messages of a sender; 0: as fast as the socket takes them
	Pad     int           // bytes in each of these
	Kernel  int           // see rig.ClientOptions
}

// Hall is a channel on some nodes, full of clients some of whom send numbered
// messages, as does an AMQP program.
type Hall struct {
	Nodes   []*Node
	Clients []*rig.Client // that are there
	Program *rig.Program
	Order   *rig.Order // nil in queue delivery

	// Sources are all who ever sent anything, the program first.
	Sources []rig.Source

	t       testing.TB
	o       HallOptions
	talks   map[*rig.Node][]*rig.Talk
	senders map[*rig.Node][]*rig.Sender // those who talk
	cut     []rig.Source                // what they sent last may be lost
}

// Room is the channel of a Hall.
const Room = "room"

// programPace is between two messages of a Hall's program.
const programPace = 10 * time.Millisecond

// NewHall returns when everyone has heard everyone.
func NewHall(t testing.TB, o HallOptions) *Hall {
	t.Helper()
	h := &Hall{t: t, o: o, talks: map[*rig.Node][]*rig.Talk{}, senders: map[*rig.Node][]*rig.Sender{}}
	program := rig.ProgramOptions{URLs: o.Program, Exchange: Exchange(t), Channel: Room, Every: max(o.Pace, programPace)}
	if o.Stream {
		h.Order, program.Stream = rig.NewOrder(), Stream(t)
	}
	clients := map[*Node][]*rig.Client{}
	for i, url := range o.Nodes {
		n := ReadyNode(t, fmt.Sprint("node", i+1), url, o.Config)
		h.Nodes = append(h.Nodes, n)
		clients[n] = JoinMany(t, n, "/ws/"+Room, o.Clients, rig.ClientOptions{Order: h.Order, Kernel: o.Kernel})
	}
	h.Program = rig.StartProgram(program)
	t.Cleanup(h.Program.Cut)
	h.Sources = append(h.Sources, h.Program)
	for _, n := range h.Nodes {
		h.Enter(n, clients[n], o.Senders)
	}
	h.AwaitNew(10)
	return h
}

// Enter adds clients of a node, of whom the first so many begin to send.
func (h *Hall) Enter(n *Node, clients []*rig.Client, senders int) {
	h.Clients = append(h.Clients, clients...)
	talkers := rig.Senders(clients[:senders], len(h.Sources))
	for _, s := range talkers {
		s.Pad = " " + strings.Repeat(".", h.o.Pad)
		h.Sources = append(h.Sources, s)
	}
	h.senders[n.Node] = append(h.senders[n.Node], talkers...)
	h.talks[n.Node] = append(h.talks[n.Node], Talk(h.t, talkers, h.o.Pace))
}

// live is who sends.
func (h *Hall) live() []rig.Source {
	sources := []rig.Source{h.Program}
	for _, senders := range h.senders {
		for _, s := range senders {
			sources = append(sources, s)
		}
	}
	return sources
}

// AwaitNew waits until so many messages of each source that begin to be sent
// after the call have reached every client.
func (h *Hall) AwaitNew(count int) {
	h.t.Helper()
	live := h.live()
	until := Marks(live)
	for i := range until {
		until[i] += count - 1
	}
	AwaitNumbers(h.t, h.Clients, live, until)
}

// Quit waits until a node that stops has closed all its clients in order, and
// returns them. What they sent counts, also what they send after they were told,
// each so many messages.
func (h *Hall) Quit(n *Node, code ws.StatusCode, lastMinute int) []*rig.Client {
	h.t.Helper()
	gone, senders, err := h.leave(n)
	for _, s := range senders {
		err = errors.Join(err, s.SendMany(lastMinute))
	}
	if err != nil {
		h.t.Error(err)
	}
	for _, c := range gone {
		Left(h.t, c, code)
	}
	return gone
}

// Lose waits until all clients of a killed node have noticed, and returns them.
// What they sent last may be lost, but then to all.
func (h *Hall) Lose(n *Node) []*rig.Client {
	h.t.Helper()
	gone, senders, _ := h.leave(n) // some met the end while they sent
	for _, s := range senders {
		h.cut = append(h.cut, s)
	}
	return gone
}

// leave waits until the connections to n have ended, and the sending on them.
func (h *Hall) leave(n *Node) (gone []*rig.Client, senders []*rig.Sender, err error) {
	gone, senders = h.On(n), h.senders[n.Node]
	for _, c := range gone {
		<-c.Done()
	}
	for _, talk := range h.talks[n.Node] {
		err = errors.Join(err, talk.Stop())
	}
	delete(h.senders, n.Node)
	delete(h.talks, n.Node)
	h.Clients = slices.DeleteFunc(h.Clients, func(c *rig.Client) bool { return c.Node == n.Node })
	return gone, senders, err
}

// Hush ends the sending, and returns when the last messages have reached every
// client.
func (h *Hall) Hush() {
	h.t.Helper()
	for _, talk := range slices.Concat(slices.Collect(maps.Values(h.talks))...) {
		if err := talk.Stop(); err != nil {
			h.t.Error(err)
		}
	}
	ctx, cancel := Context(h.t)
	defer cancel()
	Check(h.t, h.Program.Stop(ctx))
	AwaitLast(h.t, h.Clients, h.live())
}

// End hushes, dismisses the clients, and checks that they all have heard
// everything, once, in order, and if there is one order, in that.
func (h *Hall) End(amqpURL string) {
	h.t.Helper()
	h.Hush()
	Dismiss(h.t, amqpURL, Room, h.Clients)
	whole := slices.DeleteFunc(slices.Clone(h.Sources), func(s rig.Source) bool { return slices.Contains(h.cut, s) })
	WantAll(h.t, h.Clients, whole)
	most := Most(h.Clients, h.cut)
	for _, c := range h.Clients {
		WantFirst(h.t, c, h.cut, most)
	}
	h.t.Logf("%d clients, of each source %v messages", len(h.Clients), Marks(h.Sources))
}

// On is the clients of a node.
func (h *Hall) On(n *Node) []*rig.Client {
	return slices.DeleteFunc(slices.Clone(h.Clients), func(c *rig.Client) bool { return c.Node != n.Node })
}

// Sub is t under a longer name, so that a test can have several exchanges.
func Sub(t testing.TB, name string) testing.TB { return sub{t, t.Name() + "." + name} }

type sub struct {
	testing.TB
	name string
}

func (s sub) Name() string { return s.name }

// StreamConfig is a configuration for stream delivery with short backoffs.
// amqp is what else stands below that key, as in "window: {messages: 500}".
func StreamConfig(amqp ...string) string {
	return "amqp: {delivery: stream, " + strings.Join(append(amqp, "reconnect: {max: 1s}"), ", ") + "}\n"
}
