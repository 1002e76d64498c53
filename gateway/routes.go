package gateway

import (
	"encoding/json"
	"net/http"

	"warren/gateway/request"
)

// routes is what plain HTTP requests can reach.
func (g *Gateway) routes() http.Handler {
	path := g.o.WebSocket.Path
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, nil)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, g.unready())
	})
	mux.Handle("GET /{$}", g.o.Page)
	// A plain GET of root is a person with a browser; of a channel, a mistake.
	mux.Handle("GET "+path+"/{$}", upgradeRequired)
	mux.Handle("GET "+path, g.o.Page)
	mux.Handle(path+"/", upgradeRequired)
	return mux
}

// unready says why no client should be sent here, nil if it may.
func (g *Gateway) unready() error {
	if g.stopping.Load() {
		return errStopping
	}
	return g.ex.Status()
}

var errStopping = constError("the node is stopping")

type constError string

func (e constError) Error() string { return string(e) }

// writeHealth answers a check: 200, or 503 and why.
func writeHealth(w http.ResponseWriter, why error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	answer := struct {
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}{Status: "ok"}
	if why != nil {
		answer.Status, answer.Reason = "unavailable", why.Error()
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// upgradeRequired answers plain requests where only a WebSocket is to be had.
var upgradeRequired = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	e := request.ErrUpgradeRequired
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Sec-WebSocket-Version", "13")
	http.Error(w, e.Reason, e.Status)
})
