package rig_test

import (
	"fmt"
	"reflect"
	"testing"

	"go.uber.org/goleak"

	"warren/internal/rig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestJudge(t *testing.T) {
	type spans = []rig.Span
	for _, tt := range []struct {
		name  string
		heard []int
		sent  rig.Span
		want  rig.Verdict
	}{
		{"nothing of nothing", nil, rig.Span{}, rig.Verdict{}},
		{"all", []int{0, 1, 2}, rig.Span{End: 3}, rig.Verdict{}},
		{"nothing", nil, rig.Span{First: 5, End: 9}, rig.Verdict{Missing: spans{{5, 9}}}},
		{"begin and end", []int{2, 3}, rig.Span{End: 6}, rig.Verdict{Missing: spans{{0, 2}, {4, 6}}}},
		{"a hole", []int{0, 1, 4}, rig.Span{End: 5}, rig.Verdict{Missing: spans{{2, 4}}}},
		{"twice at once", []int{0, 1, 1, 2}, rig.Span{End: 3}, rig.Verdict{Twice: 1}},
		{"twice, later", []int{0, 1, 2, 3, 1, 2, 4}, rig.Span{End: 5}, rig.Verdict{Twice: 2}},
		{"late", []int{0, 2, 1, 3}, rig.Span{End: 4}, rig.Verdict{Disorder: 1}},
		{"late and twice", []int{0, 3, 1, 2, 3, 4}, rig.Span{End: 5}, rig.Verdict{Disorder: 2, Twice: 1}},
		{"never sent", []int{0, 1, 2}, rig.Span{End: 2}, rig.Verdict{Extra: 1}},
		{"joined later", []int{7, 8}, rig.Span{First: 7, End: 9}, rig.Verdict{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tally := rig.Tally{}
			for _, n := range tt.heard {
				if err := tally.Note(fmt.Appendf(nil, "3/%d padding", n)); err != nil {
					t.Fatal(err)
				}
			}
			if got := tally.JudgeSpan(3, tt.sent); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("judged %+v, want %+v", got, tt.want)
			}
			if got := tally.Count(3); got != len(tt.heard) || tally.Total() != got {
				t.Errorf("counted %d of %d, want %d", got, tally.Total(), len(tt.heard))
			}
			if len(tt.heard) > 0 && tally.Last(3) != tt.heard[len(tt.heard)-1] {
				t.Errorf("last is %d of %v", tally.Last(3), tt.heard)
			}
		})
	}
}

func TestNoteRefuses(t *testing.T) {
	tally := rig.Tally{}
	for _, text := range []string{"", "1", "1/", "/1", "a/1", "1/b", "-1/1", "1/-1", "1/1/1"} {
		if err := tally.Note([]byte(text)); err == nil {
			t.Errorf("%q passes as a message", text)
		}
	}
	if tally.Last(1) != -1 || tally.Total() != 0 {
		t.Error("what was refused was noted")
	}
}
