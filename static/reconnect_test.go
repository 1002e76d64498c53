package static_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"warren/internal/browsertest"
)

// haste makes the page's waits visible and short: window.waits gets each one in
// ms, chance is what Math.random returns, and the wait is over at once. Others
// stay: the handshake's deadline (10 s) and the time between pings (25 s).
func haste(tab *browsertest.Tab, chance float64) {
	tab.BeforeScripts(fmt.Sprintf(`{
		window.waits = [];
		window.sockets = 0;
		Math.random = () => %g;
		const real = setTimeout;
		window.setTimeout = (f, ms) => {
			if ([undefined, 10000, 25000].includes(ms)) return real(f, ms);
			waits.push(ms);
			return real(f, 0);
		};
		window.WebSocket = class extends WebSocket {
			constructor(...args) { super(...args); sockets++; }
		};
	}`, chance))
}

// move is the reason of a node's close frames, with 1012, while it drains.
const move = "the node drains: come back now"

func returnsAfterCut(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url + "/#room")
	c := f.page("room")
	c.say("text", "before")
	tab.Wait(texts + `.join() === 'before'`)
	c.cut()
	c = f.back(c)
	tab.Wait(inState("open"))
	c.say("text", "after")
	tab.Wait(texts + `.join() === 'before,after'`)
	tab.Wait(`[...document.querySelectorAll('.note')].some(e => e.textContent.includes('The connection was lost.'))`)
}

func backoffAndJitter(t *testing.T, f *fake, tab *browsertest.Tab) {
	f.refuse.Store(true)
	haste(tab, 0.5)
	tab.Open(f.url)
	tab.Wait(`waits.length >= 10`)
	got := browsertest.Eval[[]float64](tab, `waits.slice(0, 10)`)
	for i, ms := range got {
		// Full jitter: anywhere between 0 and the ceiling, here in the middle.
		if want := 0.5 * math.Min(30000, 250*math.Pow(2, float64(i))); ms != want {
			t.Errorf("wait %d is %v ms, want %v; all: %v", i, ms, want, got)
		}
	}
	if n := f.refused.Load(); n < 10 {
		t.Errorf("%d handshakes for 10 waits", n)
	}
	f.refuse.Store(false)
	f.page("")
	tab.Wait(inState("open"))
}

func closeCodes(t *testing.T, f *fake, tab *browsertest.Tab) {
	haste(tab, 0.5)
	for _, c := range []struct {
		code   websocket.StatusCode
		reason string
		wait   float64 // ms with a chance of one half; -1 for never
		say    string
	}{
		{1000, "because", -1, "ended the connection. (1000: because)"},
		{1008, "because", -1, "refuses this connection. (1008: because)"},
		{1001, "because", 125, "The node stops. (1001: because)"},
		{1009, "because", -1, "too big for the gateway. (1009: because)"},
		{1011, "because", 125, "internal error. (1011: because)"},
		{1012, "because", 2500, "The node restarts. (1012: because)"},
		{1012, move, 125, "The node drains: another one takes over. (1012: " + move + ")"},
		{1012, "messages were lost", 2500, "The node could not get all messages. (1012: messages were lost)"},
		{1012, "constructor", 2500, "The node restarts. (1012: constructor)"},
		{1013, "because", 7500, "overloaded, or this page read too slowly. (1013: because)"},
		{4321, "because", 125, "The connection was lost. (4321: because)"},
	} {
		tab.Open("about:blank") // so that the page starts anew
		tab.Open(f.url)
		server := f.page("")
		tab.Wait(inState("open"))
		server.end(c.code, c.reason)
		tab.Wait(fmt.Sprintf(`[...document.querySelectorAll('.note')].some(e => e.textContent.includes(%q))`, c.say))
		if c.wait >= 0 {
			f.back(server)
			tab.Wait(inState("open"))
			if got := browsertest.Eval[[]float64](tab, `waits`); len(got) != 1 || got[0] != c.wait {
				t.Errorf("%d: waits %v ms, want %v", c.code, got, c.wait)
			}
			continue
		}
		// haste would have brought it back by now: timers fire in order.
		browsertest.Eval[int](tab, `setTimeout(() => { document.title = 'later' }, undefined)`)
		tab.Wait(`document.title === 'later'`)
		if n := browsertest.Eval[int](tab, `sockets`); n != 1 {
			t.Errorf("%d: the page opened %d sockets, want to stay away", c.code, n)
		}
		want := map[websocket.StatusCode]string{1000: "off", 1008: "refused", 1009: "refused"}[c.code]
		tab.Wait(inState(want))
		// Until a person says so.
		tab.Do(chromedp.Click(chromedp.CSS("#toggle")))
		f.back(server)
		tab.Wait(inState("open"))
		tab.Do(chromedp.Click(chromedp.CSS("#toggle")))
		tab.Wait(inState("off"))
	}
	quiet(t, tab)
}
