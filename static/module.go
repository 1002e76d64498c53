package static

import (
	"bytes"
	_ "embed"
	"net/http"
	"time"
)

//go:embed warren.js
var module string

// Module serves the JavaScript client, an ES module that pages of any origin
// may import. The handler answers GET and HEAD on whatever URL it is given.
func Module() http.Handler {
	body := []byte(module)
	etag := etagOf(body)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the module takes GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		// Kept, but asked about each time: it should match the gateway.
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}
