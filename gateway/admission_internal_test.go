package gateway

import (
	"net/netip"
	"testing"
)

// Whoever is refused takes nobody's place, and an address without clients is
// forgotten.
func TestAdmissionsBooks(t *testing.T) {
	st := newStage(t, Options{Clients: ClientOptions{MaxPerIP: 1, HandshakeRate: 1}})
	s, g := st.s, st.g
	g.rate.SetLimit(1e-6) // one turn in all
	first := &client{from: netip.MustParseAddrPort("203.0.113.9:1")}
	other := &client{from: netip.MustParseAddrPort("[2001:db8::9]:1")}
	if e := s.countIn(first); e != nil {
		t.Fatal(e)
	}
	for range 2 {
		if e := s.countIn(first); e == nil || e.Status != 429 {
			t.Errorf("a second client of the address: %v", e)
		}
		if e := s.countIn(other); e == nil || e.Status != 503 {
			t.Errorf("a client beyond the rate: %v", e)
		}
	}
	if s.clients != 1 || g.clients.Load() != 1 || len(g.addresses.clients) != 1 {
		t.Errorf("%d, %d clients of %v; want the first", s.clients, g.clients.Load(), g.addresses.clients)
	}
	s.countOut(first)
	if s.clients != 0 || g.clients.Load() != 0 || len(g.addresses.clients) != 0 {
		t.Errorf("%d, %d clients of %v are left", s.clients, g.clients.Load(), g.addresses.clients)
	}
}
