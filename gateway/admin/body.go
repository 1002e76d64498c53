package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// patient reads a body that may take its time, but not stand still.
type patient struct {
	body    io.Reader
	control *http.ResponseController
	pause   time.Duration // at most, between two reads
	end     time.Time
}

// reader is r's body, of which at most so many bytes are read.
func (s *Server) reader(w http.ResponseWriter, r *http.Request, most int64) *patient {
	return &patient{
		body:    http.MaxBytesReader(w, r.Body, most),
		control: http.NewResponseController(w),
		pause:   s.o.ReadTimeout,
		end:     time.Now().Add(bodyTimeout),
	}
}

func (p *patient) Read(b []byte) (int, error) {
	deadline := time.Now().Add(p.pause)
	if deadline.After(p.end) {
		deadline = p.end
	}
	_ = p.control.SetReadDeadline(deadline) // the server's connections have deadlines
	n, err := p.body.Read(b)
	if err == io.EOF {
		// The server reads on, to notice who leaves: no more deadline for that.
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// share is how much of the memory for bodies r may take.
func (s *Server) share(r *http.Request) int64 {
	most := int64(s.o.MaxMessageSize)
	if r.ContentLength >= 0 {
		return min(r.ContentLength, most)
	}
	return most
}

// reserve takes n bytes of memory; false if there is none. One request always
// gets what it needs.
func (s *Server) reserve(n int64) bool {
	if sum := s.reading.Add(n); sum > s.o.Memory && sum > n {
		s.reading.Add(-n)
		return false
	}
	return true
}

func (s *Server) release(n int64) { s.reading.Add(-n) }

var (
	errMemory   = &problem{status: http.StatusServiceUnavailable, detail: "too much is being published over HTTP at once: come back later"}
	errEncoding = &problem{status: http.StatusUnsupportedMediaType, detail: "a Content-Encoding is not undone here: send the body as it is"}
)

// body reads a whole message, for which s.share(r) is reserved.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	if p := encoded(r); p != nil {
		return nil, p
	}
	if r.ContentLength > int64(s.o.MaxMessageSize) {
		return nil, s.tooLarge()
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, 64<<10)) + bytes.MinRead) // more once it has come
	}
	if _, err := b.ReadFrom(s.reader(w, r, int64(s.o.MaxMessageSize))); err != nil {
		if over := (*http.MaxBytesError)(nil); errors.As(err, &over) {
			return nil, s.tooLarge()
		}
		return nil, cutShort(err)
	}
	return b.Bytes(), nil
}

func (s *Server) tooLarge() *problem {
	return &problem{status: http.StatusRequestEntityTooLarge,
		detail: fmt.Sprintf("the body is over %d bytes: see websocket.max_message_size", s.o.MaxMessageSize)}
}

func encoded(r *http.Request) *problem {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return errEncoding
	}
	return nil
}

// cutShort says why a body could not be read to its end.
func cutShort(err error) *problem {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &problem{status: http.StatusRequestTimeout, detail: "the body came too slowly"}
	}
	return &problem{status: http.StatusBadRequest, detail: "reading the body: " + err.Error()}
}
