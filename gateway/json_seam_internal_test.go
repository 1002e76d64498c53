package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A client of JSON that has read the past is ahead of members who weren't written
// its end yet: it gets none of that twice.
func TestJSONSeam(t *testing.T) {
	for _, member := range []bool{false, true} {
		st := newStage(t, Options{History: HistoryOptions{Messages: 100}})
		ask := func(path string) *actor {
			a := st.connect(t)
			a.send(t, strings.Replace("GET "+path+inputHead[len("GET /ws/room"):], "\r\n\r\n", "\r\nSec-WebSocket-Protocol: warren.v1.json\r\n\r\n", 1))
			return a
		}
		round := func(a *actor) {
			st.events(t)
			st.s.sayTold()
			a.take(t)
		}
		first := ask("/ws/room")
		round(first)
		if !member {
			st.s.drop(first.c, endReset)
		}
		st.deliver(1, 2, 3)
		late := ask("/ws/room?history=9")
		round(late)
		st.sweep()
		st.deliver(4)
		st.sweep()
		round(late)
		st.deliver(5)
		st.sweep()
		var got []string
		for _, s := range late.payloads(t)[2:] { // behind welcome and subscribed
			_, data, _ := strings.Cut(s, `"base64":`)
			got = append(got, data)
		}
		if want := []string{`"MQ=="}`, `"Mg=="}`, `"Mw=="}`, `"NA=="}`, `"NQ=="}`}; !slices.Equal(got, want) {
			t.Errorf("member %v: got %s", member, fmt.Sprint(got))
		}
		if late.c.out != nil {
			t.Errorf("member %v: it is not among the members", member)
		}
	}
}
