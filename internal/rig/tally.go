package rig

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// Message names a numbered message.
type Message struct{ Source, Number int }

func (m Message) String() string { return fmt.Sprintf("%d/%d", m.Source, m.Number) }

// Span is the numbers from First up to but without End.
type Span struct{ First, End int }

func (s Span) size() int { return s.End - s.First }

// parse reads a numbered message, "<source>/<number>" and padding behind a
// space. Sources are small numbers.
func parse(text []byte) (m Message, err error) {
	name, rest, ok := bytes.Cut(text, []byte("/"))
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	var err2 error
	m.Source, err = strconv.Atoi(string(name))
	m.Number, err2 = strconv.Atoi(string(digits))
	if !ok || err != nil || err2 != nil || m.Source < 0 || m.Number < 0 {
		return Message{}, fmt.Errorf("message %.50q is no source's", text)
	}
	return m, nil
}

// Tally is the numbered messages that one listener heard: each source's in
// the order in which they came, without loss.
type Tally struct {
	Who string

	mu    sync.Mutex
	heard [][]Span // guarded by mu; by source
	last  Message  // guarded by mu
}

// Note adds a message.
func (t *Tally) Note(text []byte) error {
	m, err := parse(text)
	if err == nil {
		t.add(m)
	}
	return err
}

func (t *Tally) add(m Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = m
	for len(t.heard) <= m.Source {
		t.heard = append(t.heard, nil)
	}
	spans := t.heard[m.Source]
	if last := len(spans) - 1; last >= 0 && spans[last].End == m.Number {
		spans[last].End++
		return
	}
	t.heard[m.Source] = append(spans, Span{m.Number, m.Number + 1})
}

// take makes t go on where other is.
func (t *Tally) take(other *Tally) {
	other.mu.Lock()
	defer other.mu.Unlock()
	t.last, t.heard = other.last, nil
	for _, spans := range other.heard {
		t.heard = append(t.heard, slices.Clone(spans))
	}
}

// Latest is the message that came last, from any source.
func (t *Tally) Latest() Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// of is a copy of what came from source so far.
func (t *Tally) of(source int) []Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	if source >= len(t.heard) {
		return nil
	}
	return slices.Clone(t.heard[source])
}

// Count is how many messages came from source so far.
func (t *Tally) Count(source int) int { return count(t.of(source)) }

// Last is the number that came last from source, -1 if none did.
func (t *Tally) Last(source int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if source >= len(t.heard) || len(t.heard[source]) == 0 {
		return -1
	}
	return t.heard[source][len(t.heard[source])-1].End - 1
}

// Total is how many messages came from all sources.
func (t *Tally) Total() (sum int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, spans := range t.heard {
		sum += count(spans)
	}
	return sum
}

func count(spans []Span) (sum int) {
	for _, s := range spans {
		sum += s.size()
	}
	return sum
}

// Verdict is what is wrong with what a listener heard.
type Verdict struct {
	Missing  []Span // lost
	Twice    int    // heard before
	Disorder int    // came after a higher number
	Extra    int    // never sent
}

// Lost is how many numbers are missing.
func (v Verdict) Lost() int { return count(v.Missing) }

// Wrong is the sum of everything that is wrong.
func (v Verdict) Wrong() int { return v.Lost() + v.Twice + v.Disorder + v.Extra }

func (v Verdict) String() string {
	s := fmt.Sprintf("%d lost, %d twice, %d out of order, %d never sent", v.Lost(), v.Twice, v.Disorder, v.Extra)
	if len(v.Missing) > 0 {
		s += fmt.Sprintf("; lost are %d to %d", v.Missing[0].First, v.Missing[len(v.Missing)-1].End-1)
	}
	return s
}

// Judge compares what came from a source with all that it began to send.
func (t *Tally) Judge(s Source) Verdict { return t.JudgeSpan(s.ID(), Span{0, s.Mark()}) }

// JudgeSpan compares what came from a source with what it sent.
func (t *Tally) JudgeSpan(source int, sent Span) (v Verdict) {
	var seen []Span // sorted, apart from each other
	for _, s := range t.of(source) {
		high := -1
		if len(seen) > 0 {
			high = seen[len(seen)-1].End - 1
		}
		before := overlap(seen, s)
		v.Twice += before
		v.Disorder += max(0, min(s.End, high+1)-s.First) - before
		seen = union(seen, s)
	}
	v.Extra = count(seen) - overlap(seen, sent)
	for next, i := sent.First, 0; next < sent.End; i++ {
		gap := Span{next, sent.End}
		if i < len(seen) {
			gap.End = min(gap.End, seen[i].First)
			next = max(next, seen[i].End)
		} else {
			next = sent.End
		}
		if gap.size() > 0 {
			v.Missing = append(v.Missing, gap)
		}
	}
	return v
}

// overlap is how many numbers of s are in spans.
func overlap(spans []Span, s Span) (sum int) {
	for _, o := range spans {
		sum += max(0, min(s.End, o.End)-max(s.First, o.First))
	}
	return sum
}

// union adds s to spans that are sorted and apart, and keeps them so.
func union(spans []Span, s Span) []Span {
	spans = append(spans, s)
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.First, b.First) })
	joined := spans[:1]
	for _, s := range spans[1:] {
		if last := &joined[len(joined)-1]; s.First <= last.End {
			last.End = max(last.End, s.End)
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}
