package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"

	"warren/gateway/request"
)

// Paths of the health checks.
const (
	pathHealth = "/healthz"
	pathReady  = "/readyz"
)

// health answers the checks of load balancers, from the shard itself: they must
// be answered even while the HTTP server has all the requests it may have. It
// is false for other requests.
func (s *shard) health(c *client, head request.Head) bool {
	method := string(head.Method)
	if method != http.MethodGet && method != http.MethodHead {
		return false
	}
	var why error
	switch string(head.Path) {
	case pathHealth: // alive, since it answers
	case pathReady:
		why = s.g.unready()
	default:
		return false
	}
	s.answer(c, healthResponse(why, method == http.MethodHead))
	return true
}

// unready says why no client should be sent here, nil if it may.
func (g *Gateway) unready() error {
	switch g.drain.is() {
	case Serving:
		return g.ex.Status()
	case Stopping:
		return ErrStopping
	default:
		return ErrDraining
	}
}

// Health is how a health check is answered: 200, or 503 with a body that says
// why.
func Health(why error) (status int, body []byte) {
	answer := struct {
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}{Status: "ok"}
	if status = http.StatusOK; why != nil {
		status = http.StatusServiceUnavailable
		answer.Status, answer.Reason = "unavailable", why.Error()
	}
	body, _ = json.Marshal(answer) // of strings: no error
	return status, append(body, '\n')
}

// healthResponse is the whole of it.
func healthResponse(why error, head bool) []byte {
	status, body := Health(why)
	r := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n", status, http.StatusText(status), len(body))
	if head {
		return r
	}
	return append(r, body...)
}
