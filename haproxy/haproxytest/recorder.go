package haproxytest

import (
	"io"
	"strings"
	"sync"
)

// recorder keeps the end of what passes through it.
type recorder struct {
	mu   sync.Mutex
	w    io.Writer
	last []byte
}

const recorded = 16 << 10

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = append(r.last, b...)
	r.last = r.last[max(0, len(r.last)-recorded):]
	if r.w == nil {
		return len(b), nil
	}
	return r.w.Write(b)
}

func (r *recorder) tail() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.TrimSpace(string(r.last))
}
