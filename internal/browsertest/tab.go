package browsertest

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Tab is one page. Its methods fail the test when they can't do their job; they
// are for one goroutine at a time.
type Tab struct {
	// Context is for chromedp's own functions.
	Context context.Context

	t       testing.TB
	console chan string // warnings and worse, as the browser reports them
}

// consoleSize is how many complaints wait to be read. A page with more has
// failed its test anyway: the rest is dropped.
const consoleSize = 1000

// readConsole runs until the tab is closed.
func (tab *Tab) readConsole(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return
		}
		switch m.Type {
		case chromedp.ConsoleWarning, chromedp.ConsoleError, chromedp.ConsoleException:
			select {
			case tab.console <- m.String():
			default:
			}
		}
	}
}

// Complaints returns the warnings and errors of the page since the last call,
// exceptions and violations of its Content-Security-Policy included.
func (tab *Tab) Complaints() []string {
	tab.t.Helper()
	// The browser reports in order, so what came before the mark is all.
	const mark = "browsertest: so far"
	Eval[bool](tab, fmt.Sprintf("console.warn(%q) ?? true", mark))
	limit := time.After(stepLimit)
	var all []string
	for {
		select {
		case line := <-tab.console:
			if strings.HasSuffix(line, mark) {
				return all
			}
			all = append(all, line)
		case <-limit:
			tab.t.Fatalf("browser: its console is silent after %v; it said %q", stepLimit, all)
		}
	}
}

// Do runs steps one after the other.
func (tab *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.Context, stepLimit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tab.t.Fatalf("browser: %v; the page shows:\n%s", err, tab.text())
	}
}

// Open loads url.
func (tab *Tab) Open(url string) {
	tab.t.Helper()
	tab.Do(chromedp.Navigate(url))
}

// BeforeScripts has every page loaded from now on run script before its own.
func (tab *Tab) BeforeScripts(script string) {
	tab.t.Helper()
	_, err := chromedp.Call(tab.Context, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	if err != nil {
		tab.t.Fatalf("browser: adding a script: %v", err)
	}
}

// Prefer sets a media feature, such as "prefers-color-scheme" to "dark".
func (tab *Tab) Prefer(feature, value string) {
	tab.t.Helper()
	_, err := chromedp.Call(tab.Context, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
	})
	if err != nil {
		tab.t.Fatalf("browser: setting %s to %s: %v", feature, value, err)
	}
}

// Press types keys, runes or constants of package kb, into whatever has the
// focus.
func (tab *Tab) Press(keys string, held ...kb.Modifier) {
	tab.t.Helper()
	for _, r := range keys {
		// Not chromedp.KeyEvent: it sends what a key writes as an event of
		// its own, which a page's preventDefault on keydown doesn't stop.
		events := kb.Encode(r)
		down, up := *events[0], *events[len(events)-1]
		if len(events) == 3 {
			down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
		}
		for _, m := range held {
			down.Modifiers |= m.Int64()
			up.Modifiers |= m.Int64()
		}
		for _, event := range []input.DispatchKeyEventParams{down, up} {
			if _, err := chromedp.Call(tab.Context, input.DispatchKeyEvent, event); err != nil {
				tab.t.Fatalf("browser: pressing %q: %v", r, err)
			}
		}
	}
}

// Wait waits until expression, JavaScript, is true. Exceptions count as false,
// since what it looks at may not be there yet.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	// Not chromedp.Poll: that makes a function from a string in the page,
	// which a Content-Security-Policy forbids.
	ctx, cancel := context.WithTimeout(tab.Context, stepLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("(() => { try { return !!("+expression+") } catch { return false } })()"))
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tab.t.Fatalf("browser: waited %v for %s (last error: %v); complaints: %q; the page shows:\n%s",
				stepLimit, expression, err, tab.Complaints(), tab.text())
		}
	}
}

// Screenshot is a PNG of what the tab shows.
func (tab *Tab) Screenshot() []byte {
	tab.t.Helper()
	return run(tab, chromedp.CaptureScreenshot())
}

// Eval returns the value of expression, JavaScript.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	return run(tab, chromedp.Evaluate[T](expression))
}

func run[T any](tab *Tab, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.Context, stepLimit)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.t.Fatalf("browser: %v; the page shows:\n%s", err, tab.text())
	}
	return v
}

// text is what the page shows, for failures.
func (tab *Tab) text() string {
	ctx, cancel := context.WithTimeout(tab.Context, 10*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return fmt.Sprintf("(unknown: %v)", err)
	}
	return strings.TrimSpace(s)
}
