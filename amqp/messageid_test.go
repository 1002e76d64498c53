package amqp

import (
	"math"
	"strings"
	"testing"

	"warren/gateway"
)

func TestMessageID(t *testing.T) {
	for _, node := range []string{"a", "node-1.example.org", "", strings.Repeat("é", 50)} {
		for _, seq := range []uint64{1, 10, math.MaxUint64 / 20} {
			publisher := node + "." + newBoot()
			id := formatID(publisher, seq)
			p, s, ok := parseID(id)
			if node == "" {
				if ok {
					t.Errorf("%q has no node, yet was parsed", id)
				}
			} else if !ok || p != publisher || s != seq {
				t.Errorf("%q gave %q, %d, %v", id, p, s, ok)
			}
		}
	}
	for _, id := range []string{
		"", "-", "1", "a-1", "a.b-1", "a.0123456789ab", "a.0123456789ab-", "a.0123456789ab-0", "a.0123456789ab-01",
		"a.0123456789ab-1x", "a.0123456789aB-1", "a.0123456789a-1", "a0123456789ab-1", ".0123456789ab-1",
		"a.0123456789ab--1", "a.0123456789ab-+1", "a.0123456789ab-99999999999999999999",
	} {
		if p, s, ok := parseID(id); ok {
			t.Errorf("%q gave %q, %d", id, p, s)
		}
	}
}

// What is no connection's id, as this node writes it, is nobody's.
func TestClient(t *testing.T) {
	for _, id := range []gateway.ConnID{1, 10, math.MaxUint64} {
		if got := parseClient(formatClient(id)); got != id {
			t.Errorf("%d became %d", id, got)
		}
	}
	for _, id := range []string{"", "0", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "0x1", "a", "18446744073709551616", "a.0123456789ab-1"} {
		if got := parseClient(id); got != 0 {
			t.Errorf("%q is %d", id, got)
		}
	}
}

// Whatever parses is what formatID makes.
func FuzzParseID(f *testing.F) {
	f.Add("node.0123456789ab-42")
	f.Add("a.b-c.ffffffffffff-1844674407370955161")
	f.Fuzz(func(t *testing.T, id string) {
		if p, s, ok := parseID(id); ok && formatID(p, s) != id {
			t.Errorf("%q gave %q, %d", id, p, s)
		}
	})
}
