package main

import (
	"sync"

	"warren/internal/rig"
)

// sources is all who ever sent a message.
type sources struct {
	mu    sync.Mutex
	ids   int          // guarded by mu; given away
	whole []rig.Source // guarded by mu; what they sent counts
	cut   []rig.Source // guarded by mu; what they sent last may be lost, but then to all
}

// next is a source's number.
func (s *sources) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids++
	return s.ids - 1
}

func (s *sources) add(source rig.Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole = append(s.whole, source)
}

// lost says that a source's connection ended without a word.
func (s *sources) lost(source rig.Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.whole {
		if w == source {
			s.whole = append(s.whole[:i], s.whole[i+1:]...)
			s.cut = append(s.cut, source)
			return
		}
	}
}
