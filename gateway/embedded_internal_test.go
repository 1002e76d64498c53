package gateway

import (
	"strconv"
	"testing"
	"time"
)

// A client's id is known for embeddedIDAge at least and twice that at most, or
// until half of embeddedIDs came behind it.
func TestEmbeddedForgets(t *testing.T) {
	now := time.Now()
	seen := ownIDs{young: map[ownID]struct{}{}}
	say := func(isNew bool, id string) {
		t.Helper()
		if got := seen.isNew(&Message{Client: 1, ClientID: id}, func() time.Time { return now }); got != isNew {
			t.Errorf("%s is new: %v", id, got)
		}
	}
	say(true, "a")
	now = now.Add(embeddedIDAge - 1)
	say(true, "b")
	say(false, "a")
	now = now.Add(1)
	say(false, "a")
	say(true, "c")
	now = now.Add(embeddedIDAge)
	say(true, "b")
	say(false, "c")
	now = now.Add(2 * embeddedIDAge)
	say(true, "c")

	for i := range 3 * embeddedIDs {
		say(true, strconv.Itoa(i))
		if n := len(seen.young) + len(seen.old); n > embeddedIDs {
			t.Fatalf("%d ids are remembered", n)
		}
	}
	say(false, strconv.Itoa(3*embeddedIDs-embeddedIDs/2))
	say(true, "0")
}
