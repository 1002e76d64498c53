package amqp

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// socket is the TCP connection below a link, with a deadline for every write.
type socket struct {
	net.Conn

	heard atomic.Int64 // when something last came, Unix nanoseconds

	mu    sync.Mutex
	timer *time.Timer // cuts; nil until asked for
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

func (s *socket) lastHeard() time.Time { return time.Unix(0, s.heard.Load()) }

func (s *socket) Write(p []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return s.Conn.Write(p)
}

// cutAfter closes the socket after d, unless it is closed before. The first
// call counts.
func (s *socket) cutAfter(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil {
		s.timer = time.AfterFunc(d, func() { s.Conn.Close() })
	}
}

// cut closes the socket now. Whoever reads or writes on it gets an error.
func (s *socket) cut() {
	s.Conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}
