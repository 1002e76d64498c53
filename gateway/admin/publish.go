package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"warren/gateway"
)

// publish makes the body a message.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, channel string) {
	size := s.share(r)
	if !s.reserve(size) {
		s.refuse(w, r, errMemory)
		return
	}
	defer s.release(size)
	payload, p := s.body(w, r)
	if p != nil {
		s.refuse(w, r, p)
		return
	}
	text, p := isText(r.Header.Get("Content-Type"), payload)
	if p != nil {
		s.refuse(w, r, p)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.o.ConfirmTimeout)
	defer cancel()
	id, err := s.node.Publish(ctx, gateway.Message{Channel: channel, Payload: payload, Text: text})
	if err != nil {
		s.refuse(w, r, problemOf(err))
		return
	}
	answer(w, http.StatusOK, "application/json", appendID(nil, id))
}

// appendID appends a line that names a confirmed message.
func appendID(dst []byte, id gateway.MessageID) []byte {
	line, _ := json.Marshal(struct {
		ID string `json:"mid"`
	}{id.String()}) // of a string: no error
	return append(append(dst, line...), '\n')
}

// isText says whether a body goes out as text. Types are judged as those of
// messages from other programs are (amqp); application/x-www-form-urlencoded
// counts as none: curl --data says that of everything.
func isText(contentType string, body []byte) (bool, *problem) {
	kind := mediaType(contentType)
	valid := utf8.Valid(body) // as a text frame must be (RFC 6455, 5.6)
	switch {
	case kind == "", kind == "application/x-www-form-urlencoded":
		return valid, nil
	case !gateway.IsTextType(kind):
		return false, nil
	case !valid:
		return false, &problem{status: http.StatusBadRequest,
			detail: fmt.Sprintf("the body is not valid UTF-8, as %s must be here: send it as application/octet-stream", kind)}
	}
	return true, nil
}

// mediaType is a Content-Type without parameters, in lower case.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

func isBatch(r *http.Request) bool {
	kind := mediaType(r.Header.Get("Content-Type"))
	return kind == "application/x-ndjson" || kind == "application/jsonl"
}
