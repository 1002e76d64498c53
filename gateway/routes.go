package gateway

import "net/http"

// pathScript is where the JavaScript client is.
const pathScript = "/warren.js"

// routes is what the HTTP server answers. What is below the WebSocket's path
// handOver has refused.
func (g *Gateway) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", g.o.Page)
	mux.Handle("GET "+g.o.WebSocket.Path, g.o.Page)
	mux.Handle("GET "+pathScript, g.o.Script)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Or net/http tells HTTP/1.0 clients that it keeps what it closes.
		w.Header().Set("Connection", "close")
		mux.ServeHTTP(w, r)
	})
}
