package port_test

import (
	"net"
	"testing"

	"go.uber.org/goleak"

	"warren/internal/port"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// No port is given out twice while it is reserved, and each can be listened on
// again and again.
func TestReserve(t *testing.T) {
	taken := map[string]bool{}
	for range 300 {
		p, err := port.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		if taken[p.Addr()] {
			t.Fatalf("%s was given out twice", p.Addr())
		}
		taken[p.Addr()] = true
		for range 2 {
			l, err := net.Listen("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
		}
	}
}
