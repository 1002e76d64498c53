package static_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"warren/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://gateway.example:8080/ws", nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	static.Page(path).ServeHTTP(w, r)
	return w
}

func TestHeaders(t *testing.T) {
	w := get("/ws", nil)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	for name, want := range map[string]string{
		"Content-Type":           "text/html; charset=utf-8",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "no-referrer",
		"Cache-Control":          "no-cache",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if w.Body.Len() > 80<<10 {
		t.Errorf("the page is %d bytes; it should load at once", w.Body.Len())
	}
}

func TestMethods(t *testing.T) {
	whole := get("/ws", nil)
	head := get("/ws", func(r *http.Request) { r.Method = http.MethodHead })
	if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != whole.Header().Get("Content-Length") {
		t.Errorf("HEAD: %d with %d bytes and length %q", head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
	}
	post := get("/ws", func(r *http.Request) { r.Method = http.MethodPost })
	if post.Code != http.StatusMethodNotAllowed || post.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", post.Code, post.Header().Get("Allow"))
	}
}

func TestETag(t *testing.T) {
	etag := get("/ws", nil).Header().Get("ETag")
	if !regexp.MustCompile(`^"[0-9a-f]{16,}"$`).MatchString(etag) {
		t.Fatalf("ETag %q", etag)
	}
	again := get("/ws", func(r *http.Request) { r.Header.Set("If-None-Match", etag) })
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked with its ETag: %d with %d bytes, want 304 with none", again.Code, again.Body.Len())
	}
	if other := get("/elsewhere", nil).Header().Get("ETag"); other == etag {
		t.Errorf("another page has the same ETag %s", other)
	}
}

// What the policy allows is exactly the one script and the one style in the page.
func TestPolicyMatchesPage(t *testing.T) {
	w := get("/ws", nil)
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") {
		t.Errorf("policy %q doesn't begin with nothing allowed", policy)
	}
	for _, bad := range []string{"unsafe", "*", "http:", "https:", "wss: ", "ws: "} {
		if strings.Contains(policy, bad) {
			t.Errorf("policy %q contains %q", policy, bad)
		}
	}
	for _, tag := range []string{"script", "style"} {
		inline := regexp.MustCompile(`(?s)<`+tag+`[^>]*>(.*?)</`+tag+`>`).FindAllStringSubmatch(w.Body.String(), -1)
		if len(inline) != 1 {
			t.Fatalf("%d <%s>, want 1", len(inline), tag)
		}
		sum := sha256.Sum256([]byte(inline[0][1]))
		want := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
}

func TestPolicyHost(t *testing.T) {
	for _, c := range []struct {
		host, want string // how the policy ends
	}{
		{"gateway.example", "connect-src 'self' ws://gateway.example wss://gateway.example"},
		{"localhost:8080", "connect-src 'self' ws://localhost:8080 wss://localhost:8080"},
		{"[::1]:3000", "connect-src 'self' ws://[::1]:3000 wss://[::1]:3000"},
		{"", "connect-src 'self'"},
		{"a; script-src *", "connect-src 'self'"},
		{"a https://evil.example", "connect-src 'self'"},
		{"a,b", "connect-src 'self'"},
		{"*", "connect-src 'self'"},
	} {
		w := get("/ws", func(r *http.Request) { r.Host = c.host })
		if got := w.Header().Get("Content-Security-Policy"); !strings.HasSuffix(got, "; "+c.want) {
			t.Errorf("Host %q: policy ends in %q, want %q", c.host, got[strings.LastIndex(got, ";"):], c.want)
		}
	}
}

func TestPathIsEscaped(t *testing.T) {
	body := get(`/a"><script>alert(1)</script>{{script}}`, nil).Body.String()
	if strings.Count(body, "<script") != 1 {
		t.Error("the path became a script")
	}
	if want := `data-path="/a&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{script}}"`; !strings.Contains(body, want) {
		t.Errorf("page lacks %s", want)
	}
}

func TestNothingFromOutside(t *testing.T) {
	body := get("/ws", nil).Body.String()
	allowed := "http://www.w3.org/2000/svg" // a name, never fetched
	for _, link := range regexp.MustCompile(`(?i:(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^'"\s)]*|@import)|\burl\(`).FindAllString(body, -1) {
		if link != allowed {
			t.Errorf("the page refers to %s", link)
		}
	}
	if regexp.MustCompile(`\{\{\w*\}\}`).MatchString(body) {
		t.Error("a placeholder is left in the page")
	}
}
