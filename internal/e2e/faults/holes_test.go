package faults_test

import (
	"testing"

	"warren/internal/rig"
	"warren/internal/rig/rigtest"
)

// holes knows which messages clients may lack in queue delivery.
type holes struct {
	hall   *rigtest.Hall
	rounds []outage
}

// outage is one time of RabbitMQ's absence, in numbers of each source.
type outage struct {
	seen   [][]int // by client: what it had got before
	killed []int   // had begun when RabbitMQ was gone
	back   []int   // had begun when all nodes were back
}

func newHoles(h *rigtest.Hall) *holes { return &holes{hall: h} }

// begin is called before RabbitMQ is killed.
func (x *holes) begin() {
	o := outage{}
	for _, c := range x.hall.Clients {
		seen := []int{}
		for _, s := range x.hall.Sources {
			seen = append(seen, c.Last(s.ID())+1)
		}
		o.seen = append(o.seen, seen)
	}
	x.rounds = append(x.rounds, o)
}

// killed is called when RabbitMQ is gone.
func (x *holes) killed() { x.last().killed = rigtest.Marks(x.hall.Sources) }

// end is called when all nodes have their queues back.
func (x *holes) end() { x.last().back = rigtest.Marks(x.hall.Sources) }

func (x *holes) last() *outage { return &x.rounds[len(x.rounds)-1] }

// may says whether client i may lack a message of source j.
func (x *holes) may(i, j, number int) bool {
	for _, o := range x.rounds {
		until := o.back[j] // came before the node's queue was back
		if s, ok := x.hall.Sources[j].(*rig.Sender); ok && s.Node == x.hall.Clients[i].Node {
			until = o.killed[j] // the node's own, was under way
		}
		if o.seen[i][j] <= number && number < until {
			return true
		}
	}
	return false
}

// judge checks what the clients of a node heard: nothing twice, nothing out of
// order, all of them the same, and nothing missing but what may be. It returns
// how many messages of Warren's senders they lack.
func (x *holes) judge(t *testing.T, n *rigtest.Node) int {
	t.Helper()
	common := -1
	for i, c := range x.hall.Clients {
		if c.Node != n.Node {
			continue
		}
		lost := 0
		for j, s := range x.hall.Sources {
			v := c.Judge(s)
			if v.Wrong() > v.Lost() {
				t.Errorf("%s, of %d messages of source %d: %v", c.Who, s.Mark(), s.ID(), v)
			}
			for _, gap := range v.Missing {
				x.within(t, i, j, gap)
			}
			if s != rig.Source(x.hall.Program) {
				lost += v.Lost()
			}
		}
		if common >= 0 && lost != common {
			t.Errorf("clients of %s lack %d and %d messages", n.Name, common, lost)
		}
		common = lost
	}
	return common
}

func (x *holes) within(t *testing.T, i, j int, gap rig.Span) {
	t.Helper()
	for number := gap.First; number < gap.End; number++ {
		if !x.may(i, j, number) {
			t.Errorf("%s lacks message %d of source %d, outside of any gap", x.hall.Clients[i].Who, number, j)
			return
		}
	}
}
