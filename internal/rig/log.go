package rig

import (
	"bytes"
	"strings"
	"sync"
)

// Log is what a node prints, over all its lives.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Lines are the whole lines that hold part, without their ends.
func (l *Log) Lines(part string) (found []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, part) && strings.HasSuffix(line, "\n") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// Twice returns the warnings that were printed more than once, times apart.
func (l *Log) Twice() (again []string) {
	seen := map[string]bool{}
	for _, line := range l.Lines("level=WARN") {
		_, said, _ := strings.Cut(line, " ")
		if seen[said] {
			again = append(again, said)
		}
		seen[said] = true
	}
	return again
}
