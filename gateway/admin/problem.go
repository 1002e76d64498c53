package admin

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"warren/gateway"
	"warren/gateway/jsonv1"
)

// problem is a refusal (RFC 9457).
type problem struct {
	status int
	detail string
	allow  string // methods, of a 405
}

// explain says what became of a message that was not confirmed: a status, a
// code for lines of a batch, and words.
func explain(err error) (status int, code, detail string) {
	switch {
	case errors.Is(err, gateway.ErrStopping):
		return http.StatusServiceUnavailable, codeStopping, err.Error() + ": not published"
	case errors.Is(err, gateway.ErrAway):
		return http.StatusServiceUnavailable, codeAway, err.Error() + ": not published"
	case errors.Is(err, gateway.ErrUnconfirmed):
		return http.StatusGatewayTimeout, codeUnconfirmed, err.Error() + ": it may be published yet"
	}
	return http.StatusUnprocessableEntity, jsonv1.CodeNotAccepted, err.Error()
}

// Codes of lines beside those of package jsonv1.
const (
	codeAway        = "away"        // not published: the exchange takes nothing
	codeStopping    = "stopping"    // not published: the node stops
	codeUnconfirmed = "unconfirmed" // it may be published yet
	codeIncomplete  = "incomplete"  // not published, nor is what came behind
)

func problemOf(err error) *problem {
	status, _, detail := explain(err)
	return &problem{status: status, detail: detail}
}

func lineErrorOf(err error) *lineError {
	_, code, detail := explain(err)
	return &lineError{code, detail}
}

// retryAfter is in seconds, and differs, so that not all come back at once.
func retryAfter() string { return strconv.Itoa(1 + rand.IntN(5)) }

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	s.log.Debug("refused a request", "remote", r.RemoteAddr, "method", r.Method, "path", r.URL.EscapedPath(),
		"status", p.status, "reason", p.detail)
	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter())
	}
	body, _ := json.Marshal(struct { // of strings and a number: no error
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(p.status), p.status, p.detail})
	answer(w, p.status, "application/problem+json", append(body, '\n'))
}

// answer writes a whole response.
func answer(w http.ResponseWriter, status int, contentType string, body []byte) {
	// The reader of a response has its own time limit. Not every
	// ResponseWriter has deadlines; the server's has.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has left doesn't read it
}
