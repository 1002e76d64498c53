package rigtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"warren/internal/rig"
)

// Crowd is a rig.Crowd for the length of a test.
type Crowd struct {
	*rig.Crowd
	t testing.TB
}

// NewCrowd runs Node.js with the JavaScript client that a node serves.
func NewCrowd(t testing.TB, n *Node) *Crowd {
	t.Helper()
	status, module := n.Get("/warren.js")
	if status != 200 {
		t.Fatalf("/warren.js of %s: %d %s", n.Name, status, module)
	}
	ctx, cancel := Context(t)
	defer cancel()
	c, err := rig.StartCrowd(ctx, t.TempDir(), []byte(module))
	Check(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("Node.js printed:\n%s", c.Log())
		}
	})
	return &Crowd{c, t}
}

// Join adds clients and waits until they are subscribed.
func (c *Crowd) Join(clients ...rig.CrowdClient) {
	c.t.Helper()
	ctx, cancel := Context(c.t)
	defer cancel()
	Check(c.t, c.Crowd.Join(ctx, clients))
}

// Talk makes each client say something, once in so many milliseconds.
func (c *Crowd) Talk(every int) {
	c.t.Helper()
	ctx, cancel := Context(c.t)
	defer cancel()
	Check(c.t, c.Crowd.Talk(ctx, every))
}

// Cut is rig.Crowd.Cut.
func (c *Crowd) Cut(ids ...int) {
	c.t.Helper()
	ctx, cancel := Context(c.t)
	defer cancel()
	Check(c.t, c.Crowd.Cut(ctx, ids...))
}

// Hush is rig.Crowd.Hush.
func (c *Crowd) Hush() {
	c.t.Helper()
	ctx, cancel := Context(c.t)
	defer cancel()
	Check(c.t, c.Crowd.Hush(ctx))
}

// AwaitNew waits until every subscription has got so many more messages.
func (c *Crowd) AwaitNew(more int) {
	c.t.Helper()
	ctx, cancel := Context(c.t)
	defer cancel()
	before, err := c.Heard(ctx)
	Check(c.t, err)
	Check(c.t, rig.Await(ctx, func() error {
		now, err := c.Heard(ctx)
		if err != nil {
			return rig.Never(err)
		}
		for i := range now {
			if now[i] < before[i]+more {
				return fmt.Errorf("subscription %d of the crowd got %d messages, had %d and waits for %d more", i, now[i], before[i], more)
			}
		}
		return nil
	}))
}

// Report waits until every subscription has heard rig.LastWord, which must have
// been said on all channels, and returns what became of all clients. Each must
// have got one ack for every message it published, and no gap.
func (c *Crowd) Report() []rig.CrowdReport {
	c.t.Helper()
	ctx, cancel := Context(c.t)
	defer cancel()
	Check(c.t, c.Hears(ctx, rig.LastWord))
	all, err := c.Crowd.Report(ctx)
	Check(c.t, err)
	for _, r := range all {
		mids := slices.Compact(slices.Sorted(slices.Values(r.Acks)))
		if len(r.Failed) > 0 || len(r.Acks) != r.Said || len(mids) != r.Said {
			c.t.Errorf("client %d published %d messages, acknowledged %d times with %d ids; failed are %q", r.ID, r.Said, len(r.Acks), len(mids), r.Failed)
		}
		if r.Repeated > 0 {
			c.t.Errorf("client %d was sent %d messages that it had got before", r.ID, r.Repeated)
		}
		if len(r.Gaps) > 0 {
			c.t.Errorf("client %d was told of gaps: %q", r.ID, r.Gaps)
		}
	}
	return all
}

// spoke is what a client of a crowd has said, as a rig.Source.
type spoke struct{ id, said int }

func (s spoke) ID() int   { return s.id }
func (s spoke) Mark() int { return s.said }

// WantHeard checks what clients of crowds heard: on each channel every message
// of its sources once, in their order; all clients in one order, with the same
// ids, those of root too. programs is sources by channel beside the clients,
// who said what they did on the channel that is speaks of them.
func WantHeard(t testing.TB, reports []rig.CrowdReport, programs map[string]rig.Source, speaks func(id int) string) {
	t.Helper()
	sources := map[string][]rig.Source{}
	for channel, p := range programs {
		sources[channel] = append(sources[channel], p)
	}
	for _, r := range reports {
		sources[speaks(r.ID)] = append(sources[speaks(r.ID)], spoke{r.ID, r.Said})
	}
	order := map[string][]string{} // by subscription, as the first client heard it
	var wrong []string
	for _, r := range reports {
		for subscription, lines := range r.Heard {
			who := fmt.Sprintf("client %d on %q", r.ID, subscription)
			apart := byChannel(lines)
			due := []string{subscription}
			if subscription == "" {
				due = slices.Collect(maps.Keys(sources))
				wrong = slices.Concat(wrong, sameOrder(who, order, "", slices.DeleteFunc(slices.Clone(lines), isLastWord)))
			}
			for _, channel := range due {
				wrong = slices.Concat(wrong, judge(who, apart[channel], sources[channel]), sameOrder(who, order, channel, apart[channel]))
				delete(apart, channel)
			}
			for channel := range apart {
				wrong = append(wrong, fmt.Sprintf("%s heard channel %q", who, channel))
			}
		}
	}
	const shown = 20
	for _, what := range wrong[:min(shown, len(wrong))] {
		t.Error(what)
	}
	if len(wrong) > shown {
		t.Errorf("and so on, %d times in all", len(wrong))
	}
}

func isLastWord(line string) bool { return strings.HasSuffix(line, " "+rig.LastWord) }

// byChannel is lines without rig.LastWord.
func byChannel(lines []string) map[string][]string {
	channels := map[string][]string{}
	for _, line := range lines {
		if !isLastWord(line) {
			channel, _, _ := strings.Cut(line, " ")
			channels[channel] = append(channels[channel], line)
		}
	}
	return channels
}

// judge compares lines of one channel with what its sources said.
func judge(who string, lines []string, sources []rig.Source) (wrong []string) {
	tally := rig.Tally{Who: who}
	for _, line := range lines {
		if err := tally.Note([]byte(line[strings.LastIndexByte(line, ' ')+1:])); err != nil {
			return []string{fmt.Sprintf("%s heard %q: %v", who, line, err)}
		}
	}
	known := 0
	for _, s := range sources {
		known += tally.Count(s.ID())
		if v := tally.Judge(s); v.Wrong() > 0 {
			wrong = append(wrong, fmt.Sprintf("%s, of %d messages of source %d: %v", who, s.Mark(), s.ID(), v))
		}
	}
	if known != len(lines) {
		wrong = append(wrong, fmt.Sprintf("%s heard %d messages, %d of them from other channels' sources", who, len(lines), len(lines)-known))
	}
	return wrong
}

// sameOrder compares lines with what the first client heard under a name.
func sameOrder(who string, order map[string][]string, name string, lines []string) []string {
	first, ok := order[name]
	if !ok {
		order[name] = lines
		return nil
	}
	for i := range min(len(first), len(lines)) {
		if first[i] != lines[i] {
			return []string{fmt.Sprintf("%s heard as message %d of %q %q, where another client heard %q", who, i, name, lines[i], first[i])}
		}
	}
	if len(first) != len(lines) {
		return []string{fmt.Sprintf("%s heard %d messages of %q, another client %d", who, len(lines), name, len(first))}
	}
	return nil
}

// Sums adds up what is said of a crowd in few words: for a log.
func Sums(reports []rig.CrowdReport) string {
	said, again, heard, moved, closes, errors := 0, 0, 0, 0, map[int]int{}, map[string]int{}
	for _, r := range reports {
		said += r.Said
		again += r.Again
		if len(r.Nodes) > 1 {
			moved++
		}
		for lines := range maps.Values(r.Heard) {
			heard += len(lines)
		}
		for _, code := range r.Closes {
			closes[code]++
		}
		for _, code := range r.Errors {
			errors[code]++
		}
	}
	return fmt.Sprintf("%d clients, %d of them on several nodes, published %d messages, %d times again, and heard %d; connections ended by code: %v; errors: %v",
		len(reports), moved, said, again, heard, closes, errors)
}
