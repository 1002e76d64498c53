package static_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"warren/internal/browsertest"
)

// runtime runs JavaScript in which testdata/rig.mjs is installed.
type runtime struct {
	t *testing.T
	// eval returns the JSON of a promise's value.
	eval func(expression string) (json.RawMessage, error)
	// complaints is what went wrong unasked, such as a rejection that nobody handles.
	complaints func() []string
}

// in runs test in Chromium and in Node, each against a fake of its own.
func in(t *testing.T, tests map[string]func(*testing.T, *fake, *runtime)) {
	b := browsertest.New(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Run("chromium", func(t *testing.T) {
				f := newFake(t)
				test(t, f, inBrowser(t, b, f))
			})
			t.Run("node", func(t *testing.T) { test(t, newFake(t), inNode(t)) })
		})
	}
}

func inBrowser(t *testing.T, b *browsertest.Browser, f *fake) *runtime {
	t.Helper()
	tab := b.Tab(t)
	tab.Open(f.url + "/rig")
	tab.Wait(`document.title === 'ready'`)
	return &runtime{
		t: t,
		eval: func(expression string) (json.RawMessage, error) {
			ctx, cancel := context.WithTimeout(tab.Context, limit)
			defer cancel()
			text, err := chromedp.Run(ctx, chromedp.Evaluate[string](
				`(async () => JSON.stringify(await `+expression+`) ?? 'null')()`, chromedp.EvalAwaitPromise))
			return json.RawMessage(text), err
		},
		complaints: func() []string {
			// A socket that can't connect is a complaint, too, and here meant.
			return slices.DeleteFunc(tab.Complaints(), func(s string) bool { return strings.Contains(s, "WebSocket connection to") })
		},
	}
}

// inNode starts Node, which finds Debian's packages by NODE_PATH only.
func inNode(t *testing.T) *runtime {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "node", "testdata/node.mjs")
	cmd.Env = append(os.Environ(), "NODE_PATH="+strings.Join([]string{os.Getenv("NODE_PATH"), "/usr/share/nodejs"}, ":"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting node (make setup installs it): %v", err)
	}
	out := bufio.NewReader(stdout)
	t.Cleanup(func() {
		defer cancel()
		timer := time.AfterFunc(limit, cancel)
		defer timer.Stop()
		stdin.Close()
		rest, _ := io.ReadAll(out)
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 || len(rest) > 0 {
			t.Errorf("node: %v; it said:\n%s%s", err, rest, stderr.String())
		}
	})
	return &runtime{
		t: t,
		eval: func(expression string) (json.RawMessage, error) {
			line, err := json.Marshal(map[string]string{"code": "(async () => await " + expression + ")()"})
			if err != nil {
				return nil, err
			}
			if _, err := stdin.Write(append(line, '\n')); err != nil {
				return nil, err
			}
			timer := time.AfterFunc(limit, cancel) // of what never settles
			defer timer.Stop()
			text, err := out.ReadBytes('\n')
			if err != nil {
				return nil, err
			}
			var answer struct {
				Value json.RawMessage `json:"value"`
				Error string          `json:"error"`
			}
			if err := json.Unmarshal(text, &answer); err != nil {
				return nil, err
			}
			if answer.Error != "" {
				return nil, fmt.Errorf("%s", answer.Error)
			}
			return answer.Value, nil
		},
		complaints: func() []string { return nil }, // they end Node
	}
}

// do runs statements, which may await.
func (js *runtime) do(format string, args ...any) {
	js.t.Helper()
	code := fmt.Sprintf(format, args...)
	if _, err := js.eval("(async () => { " + code + " })()"); err != nil {
		js.t.Fatalf("%s: %v", code, err)
	}
}

// value returns an expression's value.
func value[T any](js *runtime, expression string) T {
	js.t.Helper()
	text, err := js.eval("(" + expression + ")")
	if err != nil {
		js.t.Fatalf("%s: %v", expression, err)
	}
	var v T
	if err := json.Unmarshal(text, &v); len(text) > 0 && err != nil {
		js.t.Fatalf("%s: %s: %v", expression, text, err)
	}
	return v
}

// wait waits until an expression is true.
func (js *runtime) wait(expression string) {
	js.t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !value[bool](js, "!!("+expression+")") {
		select {
		case <-tick.C:
		case <-deadline:
			js.t.Fatalf("waited for %s; the log is\n%s", expression, lines(value[[]string](js, "log")...))
		}
	}
}

// logged waits until as many lines of the given kinds (their first words) are
// in the log as wanted, compares them, and forgets the whole log.
func (js *runtime) logged(kinds string, want ...string) {
	js.t.Helper()
	js.compareLog(kinds, want, func([]string) {})
}

// loggedApart is logged without the order between kinds: promises settle when
// they like.
func (js *runtime) loggedApart(kinds string, want ...string) {
	js.t.Helper()
	js.compareLog(kinds, want, func(log []string) {
		slices.SortStableFunc(log, func(a, b string) int {
			a, _, _ = strings.Cut(a, " ")
			b, _, _ = strings.Cut(b, " ")
			return strings.Compare(a, b)
		})
	})
}

func (js *runtime) compareLog(kinds string, want []string, arrange func([]string)) {
	js.t.Helper()
	words, err := json.Marshal(strings.Fields(kinds))
	if err != nil {
		js.t.Fatal(err)
	}
	filtered := fmt.Sprintf(`log.filter((line) => %s.includes(line.split(' ')[0]))`, words)
	js.wait(fmt.Sprintf("%s.length >= %d", filtered, len(want)))
	got := value[[]string](js, filtered)
	arrange(got)
	arrange(want)
	if lines(got...) != lines(want...) {
		js.t.Errorf("logged\n%s\nwant\n%s", lines(got...), lines(want...))
	}
	js.do("log.length = 0")
}

// waits compares when timers are due, in ms.
func (js *runtime) waits(want ...float64) {
	js.t.Helper()
	if got := value[[]float64](js, "clock.waits()"); !slices.Equal(got, want) {
		js.t.Errorf("timers are due in %v ms, want %v", got, want)
	}
}

func (js *runtime) quiet() {
	js.t.Helper()
	if got := js.complaints(); len(got) > 0 {
		js.t.Errorf("the browser complains: %q", got)
	}
}
