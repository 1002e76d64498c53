package gateway

import "testing"

// A listener that can't be accepted from rests until the next tick, also in a
// shard that had nothing else to wait for.
func TestRestIsAPause(t *testing.T) {
	st := newStage(t, Options{})
	s := st.s
	s.accepting = true
	if wait := s.patience(); wait != -1 {
		t.Fatalf("waits %d ms, want for ever", wait)
	}
	s.sleeping.Store(true)
	s.poller.Wake()
	st.events(t)
	s.accepting = false
	if wait := s.patience(); wait < 50 {
		t.Errorf("rests for %d ms, want some 100", wait)
	}
}
