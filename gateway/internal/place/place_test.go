package place_test

import (
	"math"
	"testing"

	"warren/gateway"
	"warren/gateway/internal/place"
)

// An ID is printed as gateway.ParseID reads it.
func TestAppend(t *testing.T) {
	for want, id := range map[string]place.ID{
		"0-00000001":                    {Offset: 0, Check: 1},
		"1042-7f3a90c1":                 {Offset: 1042, Check: 0x7f3a90c1},
		"18446744073709551615-ffffffff": {Offset: math.MaxUint64, Check: math.MaxUint32},
	} {
		if got := string(id.Append([]byte("after "))); got != "after "+want {
			t.Errorf("%+v is printed %q, want %q", id, got, want)
		}
		if read, ok := gateway.ParseID(want); !ok || read != gateway.ID(id) {
			t.Errorf("%q is read as %+v", want, read)
		}
		if id.IsZero() {
			t.Errorf("%+v is none", id)
		}
	}
	if !(place.ID{Offset: 5}).IsZero() {
		t.Error("a place without a check")
	}
}
