package static_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"warren/static"
)

func TestModule(t *testing.T) {
	get := func(method, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/warren.js", nil)
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		w := httptest.NewRecorder()
		static.Module().ServeHTTP(w, r)
		return w
	}
	w := get(http.MethodGet, "")
	source, err := os.ReadFile("warren.js")
	if err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusOK || w.Body.String() != string(source) {
		t.Errorf("GET: %d with %d bytes of %d", w.Code, w.Body.Len(), len(source))
	}
	for name, want := range map[string]string{
		"Content-Type":                 "text/javascript; charset=utf-8",
		"Access-Control-Allow-Origin":  "*",
		"Cross-Origin-Resource-Policy": "cross-origin",
		"Cache-Control":                "no-cache",
		"X-Content-Type-Options":       "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if head := get(http.MethodHead, ""); head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") {
		t.Errorf("HEAD: %d with %d bytes", head.Code, head.Body.Len())
	}
	if again := get(http.MethodGet, w.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("asked with its ETag: %d", again.Code)
	}
	if post := get(http.MethodPost, ""); post.Code != http.StatusMethodNotAllowed || post.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", post.Code, post.Header().Get("Allow"))
	}
}

// TestPackage: what package.json names is there, and nothing runs at an install.
func TestPackage(t *testing.T) {
	text, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Name, Type, Main, Types string
		Files                   []string
		Exports                 map[string]map[string]string
		Scripts                 map[string]string
		Dependencies            map[string]string
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	if p.Name != "warren-client" || p.Type != "module" || len(p.Scripts) > 0 || len(p.Dependencies) > 0 {
		t.Errorf("package.json: %+v", p)
	}
	named := append([]string{p.Main, p.Types}, p.Files...)
	for _, file := range p.Exports["."] {
		named = append(named, file)
	}
	for _, file := range named {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("package.json names a file that isn't there: %v", err)
		}
		if !slices.Contains(p.Files, strings.TrimPrefix(file, "./")) {
			t.Errorf("%s isn't among the published files %v", file, p.Files)
		}
	}
}

// TestDeclarations compares warren.d.ts with what the module has, by name.
func TestDeclarations(t *testing.T) {
	text, err := os.ReadFile("warren.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	declared := string(text)
	js := inNode(t)
	names := func(pattern, in string) []string {
		var found []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(in, -1) {
			if !slices.Contains(found, m[1]) {
				found = append(found, m[1])
			}
		}
		slices.Sort(found)
		return found
	}
	same := func(what string, got, want []string) {
		t.Helper()
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: declared are %v, there are %v", what, got, want)
		}
	}
	body := func(head string) string {
		_, rest, ok := strings.Cut(declared, head)
		if !ok {
			t.Fatalf("warren.d.ts has no %s", head)
		}
		inner, _, _ := strings.Cut(rest, "\n}\n")
		return inner
	}
	same("exports", names(`(?m)^export (?:class|function|const) (\w+)`, declared), value[[]string](js, `Object.keys(warren)`))
	const member = `(?m)^  (?:readonly )?(\w+|\[Symbol\.asyncIterator\])[<(:?]`
	// on is inherited, and there are symbols of the module's own.
	members := `(name) => [...Object.getOwnPropertyNames(warren[name].prototype), 'on', '[Symbol.asyncIterator]'].filter((n) => n !== 'constructor')`
	for _, class := range []string{"Connection", "Subscription"} {
		same(class, names(member, body("export class "+class+" ")), value[[]string](js, "("+members+")('"+class+"')"))
	}
	same("WarrenError", names(member, body("export class WarrenError ")),
		value[[]string](js, `Object.keys(new warren.WarrenError('x', 'y')).filter((n) => n !== 'name')`))
	// An unknown event's error lists those there are.
	for class, make := range map[string]string{
		"Connection":   `warren.connect('ws://host.invalid/', { WebSocket: class {} })`,
		"Subscription": `warren.connect('ws://host.invalid/', { WebSocket: class {} }).subscribe('a')`,
	} {
		said := value[string](js, `(() => { try { `+make+`.on('?') } catch (err) { return err.message } })()`)
		_, list, _ := strings.Cut(said, "there are ")
		same(class+"'s events", names(`(?m)^  (\w+):`, body("export interface "+class+"Events ")), strings.Split(list, ", "))
	}
}
