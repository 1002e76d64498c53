package gateway_test

import (
	"math"
	"testing"

	"warren/gateway"
)

func TestID(t *testing.T) {
	for text, want := range map[string]gateway.ID{
		"0-00000001":                    {Offset: 0, Check: 1},
		"1234-deadbeef":                 {Offset: 1234, Check: 0xdeadbeef},
		"18446744073709551615-ffffffff": {Offset: math.MaxUint64, Check: math.MaxUint32},
	} {
		if id, ok := gateway.ParseID(text); !ok || id != want {
			t.Errorf("%q: %+v, %v", text, id, ok)
		}
		if got := want.String(); got != text {
			t.Errorf("%+v is printed %q, want %q", want, got, text)
		}
	}
	for _, text := range []string{
		"", "-", "5", "5-", "-5", "5-1", "5-000000001", "5-0000000g", "5-DEADBEEF", "05-deadbeef", "+5-deadbeef", " 5-deadbeef",
		"5-deadbeef ", "5_deadbeef", "-00000001", "5-00000000", "18446744073709551616-00000001", "99999999999999999999999-00000001",
	} {
		if id, ok := gateway.ParseID(text); ok {
			t.Errorf("%q is taken for %+v", text, id)
		}
	}
	if text := (gateway.ID{}).String(); text != "" {
		t.Errorf("the zero ID is printed %q", text)
	}
}
