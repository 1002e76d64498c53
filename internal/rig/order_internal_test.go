package rig

import "testing"

// talk is messages "<sender>/<number>" as sender*10+number.
func (f *follower) hear(t *testing.T, messages ...int) {
	t.Helper()
	for _, m := range messages {
		f.follow(Message{m / 10, m % 10})
	}
}

func TestOrder(t *testing.T) {
	o := NewOrder()
	first, second := follower{Order: o}, follower{Order: o}
	first.hear(t, 10, 11, 20)
	second.hear(t, 10, 11, 20, 12, 21)
	first.hear(t, 12, 21, 22)
	if first.err != nil || second.err != nil || o.Len() != 6 {
		t.Fatalf("the same order: %v, %v, %d messages", first.err, second.err, o.Len())
	}

	middle := follower{Order: o, next: Anywhere}
	middle.hear(t, 20, 12)
	resumed := follower{Order: o, next: 5}
	resumed.hear(t, 22, 23)
	early := follower{Order: o, next: Anywhere}
	early.hear(t, 24, 25) // nobody else is there yet
	second.hear(t, 22, 23, 24, 25)
	early.find()
	for name, f := range map[string]*follower{"middle": &middle, "resumed": &resumed, "early": &early, "second": &second} {
		if f.err != nil || len(f.early) > 0 {
			t.Errorf("%s: %v, early %v", name, f.err, f.early)
		}
	}
	if m := o.At(4); m != (Message{2, 1}) {
		t.Errorf("message 4 is %v", m)
	}
	if place, ok := o.Place(Message{2, 1}); place != 4 || !ok {
		t.Errorf("message 2/1 is at %d, %v", place, ok)
	}

	for name, wrong := range map[string][]int{"swapped": {10, 20, 11}, "a hole": {10, 20}, "twice": {10, 10}} {
		f := follower{Order: o}
		if f.hear(t, wrong...); f.err == nil {
			t.Errorf("%s: no error", name)
		}
		f = follower{Order: o, next: Anywhere}
		if f.hear(t, wrong...); f.err == nil {
			t.Errorf("%s, joined in the middle: no error", name)
		}
	}
	again := follower{Order: o, next: o.Len()}
	if again.hear(t, 11); again.err == nil || o.Len() != 9 {
		t.Errorf("what was heard before leads the order: %v, %d messages", again.err, o.Len())
	}
	lost := follower{Order: o, next: Anywhere}
	if lost.hear(t, 30); len(lost.early) != 1 {
		t.Error("what nobody else heard has a place")
	}
}
