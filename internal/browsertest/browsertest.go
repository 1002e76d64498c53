// Package browsertest drives a real headless Chromium for tests.
package browsertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// names are what Chromium is called by distributions, Debian's first.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

const (
	// startLimit is generous: a cold start on a busy machine takes seconds.
	startLimit = 90 * time.Second
	// stepLimit bounds one call of a Tab.
	stepLimit = 60 * time.Second
	// closeLimit is how long a browser may take to quit before it is killed.
	closeLimit = 15 * time.Second
)

// Browser is a Chromium process of its own, with an empty profile.
type Browser struct {
	ctx      context.Context // of the blank tab the process starts with
	consoles sync.WaitGroup  // one reader a tab
}

// New starts a browser and ends it with the test: process, children, profile.
// It fails the test if no browser is installed or it doesn't start.
func New(t testing.TB) *Browser {
	t.Helper()
	path, err := find(exec.LookPath)
	if err != nil {
		t.Fatal(err)
	}
	var output tail
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // Chromium refuses to run as root with one
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		// One flag holds the list: a second one would replace chromedp's.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,MediaRouter,OptimizationHints"),
		chromedp.WindowSize(1280, 800),
		chromedp.CombinedOutput(&output),
	)
	alloc, freeAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	b := &Browser{ctx: ctx}
	t.Cleanup(func() {
		defer b.consoles.Wait()
		defer freeAlloc() // waits for the process and removes its profile
		defer cancel()
		limited, stop := context.WithTimeout(ctx, closeLimit)
		defer stop()
		if err := chromedp.Cancel(limited); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("closing %s: %v", path, err)
		}
	})

	// The first Run binds the browser's life to its context: so no timeout
	// in it, but a timer beside it.
	timer := time.AfterFunc(startLimit, cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v; it said:\n%s", path, err, output.String())
	}
	if !timer.Stop() {
		t.Fatalf("starting %s: not ready after %v; it said:\n%s", path, startLimit, output.String())
	}
	return b
}

// find returns the browser's path, or the line that says what to install.
func find(lookPath func(string) (string, error)) (string, error) {
	for _, name := range names {
		if path, err := lookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("browser tests need one of %q in PATH; on Debian: apt-get install chromium", names)
}

// Pid is the browser's process.
func (b *Browser) Pid() int { return chromedp.FromContext(b.ctx).Browser.Process().Pid }

// Tab opens a tab in a window of its own, so that it is never in the
// background, with storage of its own. It is closed with t, which may be a
// subtest of the browser's.
func (b *Browser) Tab(t testing.TB) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	tab := &Tab{Context: ctx, t: t, console: make(chan string, consoleSize)}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("browser: opening a tab: %v", err)
	}
	messages := chromedp.Console(ctx)
	b.consoles.Go(func() { tab.readConsole(messages) })
	return tab
}

// tail keeps the end of what a process prints. The process may print while it
// is read.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 8 << 10

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if extra := o.buf.Len() - tailSize; extra > 0 {
		o.buf.Next(extra)
	}
	return len(p), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// SavePNG writes a picture for people to look at, if the environment variable
// BROWSERTEST_SCREENSHOTS names a folder; else it does nothing.
func SavePNG(t testing.TB, name string, png []byte) {
	t.Helper()
	dir := os.Getenv("BROWSERTEST_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(dir+"/"+name, png, 0o644); err != nil {
		t.Errorf("saving a screenshot: %v", err)
	}
}
