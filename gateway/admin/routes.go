package admin

import (
	"net/http"
	"strings"

	"warren/gateway"
	"warren/gateway/request"
)

const (
	pathPublish = "/publish"
	pathDrain   = "/drain"
	pathHealth  = "/healthz"
	pathReady   = "/readyz"
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		s.refuse(w, r, problemOf(gateway.ErrStopping))
		return
	}
	defer s.requests.Done()
	if l, ok := s.listener.(*limited); ok && l.crowded() {
		w.Header().Set("Connection", "close") // or those who wait never get a place
	}
	if p := s.hosts.guard(r); p != nil {
		s.refuse(w, r, p)
		return
	}
	// As it was sent: names of channels aren't percent-decoded anywhere.
	path := r.URL.EscapedPath()
	channel, named := strings.CutPrefix(path, pathPublish+"/")
	switch {
	case path == pathPublish:
		switch {
		case !s.allowed(w, r, http.MethodPost):
		case isBatch(r):
			s.publishBatch(w, r)
		default:
			s.publish(w, r, "")
		}
	case named && request.ValidChannel(channel):
		if s.allowed(w, r, http.MethodPost) {
			s.publish(w, r, channel)
		}
	case named:
		s.refuse(w, r, &problem{status: http.StatusNotFound, detail: request.ErrChannel.Reason})
	case path == pathDrain:
		if s.allowed(w, r, http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete) {
			s.drain(w, r)
		}
	case path == pathHealth, path == pathReady:
		if s.allowed(w, r, http.MethodGet, http.MethodHead) {
			s.health(w, path == pathReady)
		}
	default:
		s.refuse(w, r, &problem{status: http.StatusNotFound, detail: "there is /publish, /publish/{channel}, /drain, /healthz and /readyz"})
	}
}

// allowed refuses methods that aren't listed.
func (s *Server) allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	allow := strings.Join(methods, ", ")
	s.refuse(w, r, &problem{status: http.StatusMethodNotAllowed, detail: "the method must be " + allow, allow: allow})
	return false
}

// health answers as the gateway does on its own port.
func (s *Server) health(w http.ResponseWriter, ready bool) {
	var why error
	if ready {
		why = s.node.Status()
	}
	status, body := gateway.Health(why)
	answer(w, status, "application/json", body)
}
