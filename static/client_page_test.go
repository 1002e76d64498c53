package static_test

import (
	"testing"

	"warren/internal/browsertest"
)

// TestClientInPage is about what only pages have: they are hidden, offline, or
// kept for the way back.
func TestClientInPage(t *testing.T) {
	b := browsertest.New(t)
	for name, test := range map[string]func(*testing.T, *fake, *runtime){
		"relative address": relativeAddress,
		"offline":          offline,
		"hidden":           hidden,
		"kept":             kept,
		"refused address":  refusedAddress,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			test(t, f, inBrowser(t, b, f))
		})
	}
}

// pretend lets the test say whether the page is seen and has a network.
const pretend = `
	globalThis.seen = 'visible'; globalThis.network = true;
	Object.defineProperty(document, 'visibilityState', { get: () => seen });
	Object.defineProperty(navigator, 'onLine', { get: () => network });
	globalThis.show = (state) => { seen = state; document.dispatchEvent(new Event('visibilitychange')); };
	globalThis.plug = (on) => { network = on; dispatchEvent(new Event(on ? 'online' : 'offline')); };`

func relativeAddress(t *testing.T, f *fake, js *runtime) {
	js.do(`open('/ws')`)
	if c := f.welcome(); c.path != "/ws" {
		t.Errorf("the path is %s", c.path)
	}
	js.wait(`c.state === 'open'`)
	js.quiet()
}

func offline(t *testing.T, f *fake, js *runtime) {
	js.do(pretend+`open(%q)`, f.url+"/ws")
	c := f.welcome()
	js.wait(`c.state === 'open'`)
	js.do(`plug(false)`)
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.waits(30000) // seldom, and yet: what a browser says of the network may be wrong
	js.do(`plug(true)`)
	c = f.welcome()
	js.wait(`c.state === 'open'`)
	// The network is back, perhaps another one: is the connection alive?
	js.do(`plug(true)`)
	c.expect(frame{"type": "ping"})
	js.waits(10000, 25000)
	c.tell(frame{"type": "pong"})
	js.wait(`clock.waits().length === 1`)
	// Who was asked for patience has it.
	c.end(1013, "overload")
	js.wait(`c.state === 'waiting'`)
	js.waits(7500)
	js.do(`clock.advance(500); plug(true)`)
	js.waits(7000)
	js.do(`clock.advance(7000)`)
	f.welcome()
	js.wait(`c.state === 'open'`)
}

func hidden(t *testing.T, f *fake, js *runtime) {
	f.refuse.Store(true)
	js.do(pretend+`show('hidden'); open(%q)`, f.url+"/ws")
	js.wait(`c.state === 'waiting'`)
	js.waits(500)
	js.do(`clock.advance(500)`)
	js.wait(`c.state === 'waiting'`)
	js.waits(1000)
	f.refuse.Store(false)
	js.do(`show('visible')`)
	c := f.welcome()
	js.wait(`c.state === 'open'`)
	js.waits(25000)
	js.do(`show('hidden'); clock.advance(25_000)`)
	c.expect(frame{"type": "ping"})
	c.tell(frame{"type": "pong"})
	js.wait(`clock.waits().length === 1`)
	js.waits(100000)
	js.do(`show('visible')`)
	c.expect(frame{"type": "ping"})
	// Hidden, the node's wish counts as it would for a visible page.
	js.do(`show('hidden')`)
	c.end(1012, "restart")
	js.wait(`c.state === 'waiting'`)
	js.waits(10000)
	js.do(`clock.advance(1000); show('visible')`)
	js.waits(1500)
	js.do(`clock.advance(1500)`)
	c = f.welcome()
	// A node that sends it on has no such wish.
	js.wait(`c.state === 'open'`)
	js.do(`show('hidden')`)
	c.end(1012, move)
	js.wait(`c.state === 'waiting'`)
	js.waits(125)
	js.do(`show('visible')`)
	f.welcome()
}

func kept(t *testing.T, f *fake, js *runtime) {
	js.do(pretend+`open(%q, { channels: ['a'] })`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	js.wait(`c.subscription('a').id`)
	js.do(`dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))`)
	if code := c.closed(); code != 1000 {
		t.Errorf("closed with %d", code)
	}
	js.waits()
	js.do(`dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))`)
	f.welcome().subscribed(frame{"channel": "a", "since": "1-00000001"}, frame{"id": "1-00000001"})
	js.wait(`c.state === 'open'`)
	// Nothing of the page brings back what was closed.
	js.do(`c.close(); log.length = 0; plug(true); show('visible');
		dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })); dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))`)
	if got := value[int](js, `log.length`); got != 0 {
		t.Errorf("a closed connection does %v", value[[]string](js, `log`))
	}
}

// What the browser refuses outright won't do later either.
func refusedAddress(t *testing.T, _ *fake, js *runtime) {
	js.do(`open('ws://host.invalid/ws', { WebSocket: class { constructor() { throw new DOMException('mixed content', 'SecurityError'); } } })`)
	js.logged("error close state", "state connecting", "error connect", "close 1006 - unopened final", "state closed")
	js.quiet()
}
