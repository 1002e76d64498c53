package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// meter is what nodes used, read whenever all is well.
type meter struct {
	readings map[string][]reading // by the node's name
	order    []string
}

// reading is what a node uses.
type reading struct {
	memory      int // resident, in KiB
	descriptors int // but for those of clients
}

// read measures the nodes.
func (m *meter) read(nodes []*station) error {
	if m.readings == nil {
		m.readings = map[string][]reading{}
	}
	for _, n := range nodes {
		r, err := measure(n.Pid())
		if err != nil {
			return fmt.Errorf("measuring %s: %w", n.Name, err)
		}
		r.descriptors -= int(n.clients.Load())
		if !slices.Contains(m.order, n.Name) {
			m.order = append(m.order, n.Name)
		}
		m.readings[n.Name] = append(m.readings[n.Name], r)
	}
	return nil
}

// measure looks into proc(5).
func measure(pid int) (r reading, err error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return r, err
	}
	r.descriptors = len(open)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return r, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "VmRSS:" {
			r.memory, err = strconv.Atoi(fields[1])
			return r, err
		}
	}
	return r, fmt.Errorf("/proc/%d/status has no VmRSS", pid)
}

const (
	// judgedFrom is the shortest run in which histories are full before the
	// second quarter.
	judgedFrom = 8 * time.Minute

	// growth is allowed from the second quarter's median to the last's: of
	// memory, garbage that is collected later; of descriptors, guests who are
	// just coming or going.
	memoryGrowth     = 1.15
	memorySlack      = 8 << 10 // KiB
	descriptorsSlack = 4
)

// judge compares the last quarter of a run with its second, of a node that lived
// through it all.
func (m *meter) judge(name string) error {
	all := m.readings[name]
	q := len(all) / 4
	if q == 0 {
		return fmt.Errorf("%s was measured only %d times", name, len(all))
	}
	early, late := median(all[q:2*q]), median(all[len(all)-q:])
	if float64(late.memory) > float64(early.memory)*memoryGrowth+memorySlack {
		return fmt.Errorf("memory of %s grew from %d to %d KiB (medians of the second and the last quarter)", name, early.memory, late.memory)
	}
	if late.descriptors > early.descriptors+descriptorsSlack {
		return fmt.Errorf("descriptors of %s grew from %d to %d (medians of the second and the last quarter)", name, early.descriptors, late.descriptors)
	}
	return nil
}

// median of each value by itself.
func median(all []reading) (m reading) {
	var memory, descriptors []int
	for _, r := range all {
		memory, descriptors = append(memory, r.memory), append(descriptors, r.descriptors)
	}
	slices.Sort(memory)
	slices.Sort(descriptors)
	return reading{memory[len(memory)/2], descriptors[len(descriptors)/2]}
}

// String is the readings over time, thinned out.
func (m *meter) String() string {
	const most = 12
	var b strings.Builder
	for _, name := range m.order {
		all := m.readings[name]
		step := max(1, (len(all)+most-1)/most)
		fmt.Fprintf(&b, "\n%s, resident MiB:", name)
		for i := 0; i < len(all); i += step {
			fmt.Fprintf(&b, " %.1f", float64(all[i].memory)/1024)
		}
		fmt.Fprintf(&b, "\n%s, descriptors but for clients':", name)
		for i := 0; i < len(all); i += step {
			fmt.Fprintf(&b, " %d", all[i].descriptors)
		}
	}
	return b.String()
}
