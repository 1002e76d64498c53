// Package static serves the page and the JavaScript client, embedded in the
// binary.
package static

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"time"
)

var (
	//go:embed index.html
	document string
	//go:embed page.css
	style string
	//go:embed page.js
	pageScript string
	//go:embed figures.js
	figures string

	script = joined()
)

// importing is how page.js begins.
const importing = "import { connect } from './warren.js';\n"

// joined is the client and the page's own scripts as one, since nothing else
// can be loaded. A block keeps their names apart.
func joined() string {
	own, ok := strings.CutPrefix(pageScript, importing)
	if !ok {
		panic("static: page.js doesn't begin with its import")
	}
	return module + "\n{\n" + figures + own + "}\n"
}

// Page serves the page for people: one HTML response with everything in it,
// because behind a proxy only the WebSocket's own path may reach the gateway.
// path is where root's WebSocket is, such as "/ws"; channels lie below it. The
// handler answers GET and HEAD on whatever URL it is given.
func Page(path string) http.Handler {
	body := []byte(strings.NewReplacer(
		"{{path}}", html.EscapeString(path),
		"{{style}}", style,
		"{{script}}", script,
	).Replace(document))
	return &page{
		body: body,
		etag: etagOf(body),
		// Only the embedded script and style run: a hash is of what stands
		// between the tags (CSP 3, 6.7.3.3).
		policy: fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; img-src data:; "+
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'", source(script), source(style)),
	}
}

type page struct {
	body   []byte
	etag   string
	policy string // Content-Security-Policy; ends in connect-src, to be continued
}

func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// source is how a policy names inline content.
func source(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// plainHost is a Host that can stand in a policy: no space, no semicolon.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?$`)

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page takes GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	policy := p.policy
	if plainHost.MatchString(r.Host) {
		// Safari before 15.4 doesn't count ws: as 'self'.
		policy += " ws://" + r.Host + " wss://" + r.Host
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// Kept, but asked about each time: a new gateway shows its own page.
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", p.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.body))
}
