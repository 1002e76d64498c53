package admin

import (
	"encoding/json"
	"net/http"
)

// drain begins a drain, ends it, or only says how far it is. The request's body
// means nothing.
func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	switch r.Method {
	case http.MethodPost:
		s.log.Info("asked to drain", "remote", r.RemoteAddr)
		s.node.Drain()
		status = http.StatusAccepted
	case http.MethodDelete:
		s.log.Info("asked to end the drain", "remote", r.RemoteAddr)
		if err := s.node.Undrain(); err != nil {
			s.refuse(w, r, &problem{status: http.StatusConflict, detail: err.Error() + ": its drain can't be ended any more"})
			return
		}
	}
	state := s.node.Drained()
	body, _ := json.Marshal(struct { // of a string and a number: no error
		Phase   string `json:"phase"`
		Clients int64  `json:"clients"`
	}{state.Phase.String(), state.Clients})
	answer(w, status, "application/json", append(body, '\n'))
}
