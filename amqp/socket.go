package amqp

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ahead is how much is read, or held back from writing, at once, in bytes.
const ahead = 64 << 10

// socket is the TCP connection below a link, with a deadline for every write.
type socket struct {
	net.Conn

	in, ahead []byte // owned by the reader: the buffer, and what is left in it

	out    sync.Mutex
	corked bool   // guarded by out
	held   []byte // guarded by out

	heard atomic.Int64 // when something last came, Unix nanoseconds
	got   atomic.Int64 // bytes that came

	mu    sync.Mutex
	timer *time.Timer // cuts; nil until asked for
}

// Read hands out what was read ahead: the library's own buffer is small.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.ahead) == 0 {
		if s.in == nil {
			s.in = make([]byte, ahead)
		}
		n, err := s.Conn.Read(s.in)
		if n == 0 {
			return 0, err
		}
		s.heard.Store(time.Now().UnixNano())
		s.got.Add(int64(n))
		s.ahead = s.in[:n] // the error, if any, comes again
	}
	n := copy(p, s.ahead)
	s.ahead = s.ahead[n:]
	return n, nil
}

func (s *socket) received() int64 { return s.got.Load() }

func (s *socket) lastHeard() time.Time { return time.Unix(0, s.heard.Load()) }

// Write writes now, or while the socket is corked, together with what follows.
func (s *socket) Write(p []byte) (int, error) {
	s.out.Lock()
	defer s.out.Unlock()
	if s.corked && len(s.held)+len(p) <= ahead {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	if err := s.flushLocked(); err != nil {
		return 0, err
	}
	return s.writeLocked(p)
}

// cork holds back what is written until uncork: the library makes a write of
// its own for each message.
func (s *socket) cork() {
	s.out.Lock()
	s.corked = true
	s.out.Unlock()
}

func (s *socket) uncork() error {
	s.out.Lock()
	defer s.out.Unlock()
	s.corked = false
	return s.flushLocked()
}

func (s *socket) flushLocked() error {
	if len(s.held) == 0 {
		return nil
	}
	_, err := s.writeLocked(s.held)
	s.held = s.held[:0]
	return err
}

func (s *socket) writeLocked(p []byte) (int, error) {
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
