//go:build linux

package main

import "github.com/gobwas/ws"

// senders are the first clients of a fan; each numbers its own messages.
type senders struct {
	f      *fan
	counts []int64 // made, by sender
	goals  []int64
	text   []byte
}

// newSenders makes the first n clients of f senders.
func newSenders(f *fan, n, payloadSize int) *senders {
	s := &senders{f: f, counts: make([]int64, n), goals: make([]int64, n), text: make([]byte, payloadSize)}
	f.fill = s.fill
	return s
}

// send begins to send n more messages, as fast as they are taken. The fan's loop
// does the rest.
func (s *senders) send(n int) error {
	for i := range s.goals {
		s.goals[i] += int64((n + i) / len(s.goals))
		s.f.clients[i].eager = true
		if err := s.f.flush(i); err != nil {
			return err
		}
	}
	return nil
}

func (s *senders) fill(i int, b []byte) []byte {
	const write = 16 << 10 // bytes
	for len(b) < write && s.counts[i] < s.goals[i] {
		payload(s.text, int64(i)*rowSize+s.counts[i]%rowSize)
		b = appendClientFrame(b, ws.OpText, s.text, s.counts[i])
		s.counts[i]++
	}
	return b
}
