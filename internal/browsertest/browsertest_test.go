package browsertest

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTwoTabs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>t</title><p>%s</p>", r.URL.Path)
	}))
	defer server.Close()

	b := New(t)
	one, two := b.Tab(t), b.Tab(t)
	one.Open(server.URL + "/one")
	two.Open(server.URL + "/two")
	for tab, want := range map[*Tab]string{one: "/one", two: "/two"} {
		tab.Wait("document.querySelector('p').textContent === " + fmt.Sprintf("%q", want))
		if got := Eval[string](tab, "document.visibilityState"); got != "visible" {
			t.Errorf("%s is %s, want visible", want, got)
		}
		if png := tab.Screenshot(); !strings.HasPrefix(string(png), "\x89PNG") {
			t.Errorf("%s: screenshot is no PNG", want)
		}
	}
	if got := one.Complaints(); len(got) > 0 {
		t.Errorf("complaints of a page that is fine: %q", got)
	}
	Eval[bool](one, "console.error('broken') ?? true")
	Eval[bool](one, "setTimeout(() => { document.title = 'thrown'; throw Error('thrown') }) > 0")
	one.Wait("document.title === 'thrown'")
	if got := strings.Join(one.Complaints(), "\n"); !strings.Contains(got, "broken") || !strings.Contains(got, "thrown") {
		t.Errorf("complaints are %q", got)
	}
}

// A browser's processes and profile are gone once its test is over.
func TestNothingStays(t *testing.T) {
	var profile string
	t.Run("browser", func(t *testing.T) {
		b := New(t)
		b.Tab(t).Open("data:text/html,hello")
		b.Tab(t).Open("data:text/html,again")
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", b.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		for arg := range strings.SplitSeq(string(args), "\x00") {
			if dir, ok := strings.CutPrefix(arg, "--user-data-dir="); ok {
				profile = dir
			}
		}
		if profile == "" {
			t.Fatalf("no profile in %q", args)
		}
		if n := len(users(t, profile)); n < 2 {
			t.Fatalf("found %d processes of %s, want the browser and its children", n, profile)
		}
	})
	if left := users(t, profile); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	if _, err := os.Stat(profile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("profile %s is still there (%v)", profile, err)
	}
}

// users returns the command lines that name profile.
func users(t *testing.T, profile string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && strings.Contains(string(line), profile) {
			found = append(found, e.Name()+": "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestFind(t *testing.T) {
	only := func(installed ...string) func(string) (string, error) {
		return func(name string) (string, error) {
			if slices.Contains(installed, name) {
				return "/x/" + name, nil
			}
			return "", errors.New("not there")
		}
	}
	for _, c := range []struct {
		installed []string
		want      string
	}{
		{[]string{"chromium", "google-chrome"}, "/x/chromium"},
		{[]string{"google-chrome"}, "/x/google-chrome"},
	} {
		if got, err := find(only(c.installed...)); got != c.want || err != nil {
			t.Errorf("find with %q: %q, %v; want %q", c.installed, got, err, c.want)
		}
	}
	_, err := find(only())
	if err == nil || !strings.Contains(err.Error(), "apt-get install chromium") || strings.Contains(err.Error(), "\n") {
		t.Errorf("find without a browser: %v; want one line that says what to install", err)
	}
}
