package static_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/coder/websocket"
)

func backoff(t *testing.T, f *fake, js *runtime) {
	f.refuse.Store(true)
	js.do(`open(%q)`, f.url+"/ws")
	for i := range 10 {
		js.wait(`c.state === 'waiting'`)
		// Full jitter: anywhere between 0 and the ceiling, here in the middle.
		want := 0.5 * math.Min(30000, 250*math.Pow(2, float64(i)))
		js.waits(want)
		js.logged("close", fmt.Sprintf("close 1006 - unopened %v", want))
		js.do(`clock.advance(%v)`, want)
	}
	js.wait(`c.state === 'waiting'`)
	f.refuse.Store(false)
	js.do(`clock.advance(15_000)`)
	// A connection of moments changes nothing, one of seconds does.
	c := f.welcome()
	js.wait(`c.state === 'open'`)
	js.do(`clock.advance(4999)`)
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.waits(15000)
	js.do(`clock.advance(15_000)`)
	c = f.welcome()
	js.wait(`c.state === 'open'`)
	js.do(`clock.advance(5000)`)
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.waits(125)
	// Chance decides between the bounds.
	js.do(`chance = 0; clock.advance(125)`)
	c = f.welcome()
	js.wait(`c.state === 'open'`)
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.waits(0)
	// A node that says nothing is no node.
	js.do(`chance = 0.5; clock.advance(0)`)
	f.accept()
	js.do(`log.length = 0; clock.advance(10_000)`)
	js.logged("error close", "error connect", "close 1006 - unopened 500")
	js.do(`c.close()`)
	js.waits()
}

func clientCloseCodes(t *testing.T, f *fake, js *runtime) {
	for _, c := range []struct {
		code websocket.StatusCode
		wait float64 // ms with a chance of one half; -1 for never
	}{
		{1000, -1},
		{1001, 125},
		{1002, -1},
		{1003, -1},
		{1007, -1},
		{1008, -1},
		{1009, -1}, // nothing that could have been too large was sent
		{1010, -1},
		{1011, 125},
		{1012, 2500},
		{1013, 7500},
		{1014, 125},
		{3000, 125},
		{4321, 125},
	} {
		js.do(`log.length = 0; open(%q, { channels: ['a'] }); read('it', c)`, f.url+"/ws")
		server := f.welcome()
		server.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
		js.wait(`c.subscription('a').id`)
		server.end(c.code, "because")
		if c.wait >= 0 {
			js.wait(`c.state === 'waiting'`)
			js.waits(c.wait)
			js.logged("close error it", fmt.Sprintf("close %d because opened %v", c.code, c.wait))
			js.do(`clock.advance(%v)`, c.wait)
			f.welcome().subscribed(frame{"channel": "a", "since": "1-00000001"}, frame{"id": "1-00000001"})
			js.do(`c.close()`)
			continue
		}
		js.wait(`c.state === 'closed' && log.at(-1).startsWith('it')`)
		js.waits()
		js.logged("close error it state", "state connecting", "state open",
			"error closed", fmt.Sprintf("close %d because opened final", c.code), "state closed", "it failed closed")
		js.do(`follow('late', c.publish('a', 1)); read('again', c)`)
		js.logged("late again", "late failed closed", "again failed closed")
		// Until somebody says so.
		js.do(`c.reconnect()`)
		f.welcome().subscribed(frame{"channel": "a", "since": "1-00000001"}, frame{"id": "1-00000001"})
		js.wait(`c.state === 'open'`)
		js.do(`c.close()`)
	}
	// Without a code.
	js.do(`log.length = 0; open(%q)`, f.url+"/ws")
	server := f.welcome()
	js.wait(`c.state === 'open'`)
	server.end(websocket.StatusNoStatusRcvd, "")
	js.logged("close", "close 1005 - opened 125")
	js.do(`c.close()`)
	js.quiet()
}

// A node that drains spreads its clients itself: they come back at once.
func movedOn(t *testing.T, f *fake, js *runtime) {
	lasts := func(ms int) *conn {
		t.Helper()
		c := f.welcome()
		js.wait(`c.state === 'open'`)
		js.do(`clock.advance(%d)`, ms)
		return c
	}
	ends := func(c *conn, code websocket.StatusCode, reason string, wait float64) {
		t.Helper()
		c.end(code, reason)
		js.wait(`c.state === 'waiting'`)
		js.waits(wait)
		js.logged("close", fmt.Sprintf("close %d %s opened %v", code, reason, wait))
		js.do(`clock.advance(%v)`, wait)
	}
	refused := func(wait float64) {
		t.Helper()
		js.wait(`c.state === 'waiting'`)
		js.waits(wait)
		js.do(`log.length = 0; clock.advance(%v)`, wait)
	}
	// Failures before it don't count, nor does it need to have lasted.
	f.refuse.Store(true)
	js.do(`open(%q)`, f.url+"/ws")
	refused(125)
	refused(250)
	js.wait(`c.state === 'waiting'`)
	f.refuse.Store(false)
	js.do(`log.length = 0; clock.advance(500)`)
	ends(lasts(4999), 1012, move, 125)
	// But to be sent on and on is a failure.
	ends(lasts(4999), 1012, move, 1000)
	ends(lasts(0), 1012, move, 2000)
	ends(lasts(5000), 1012, move, 125)
	// It is none itself: that of the attempt which follows is the first one.
	c := lasts(5000)
	f.refuse.Store(true)
	ends(c, 1012, move, 125)
	refused(125)
	refused(250)
	js.wait(`c.state === 'waiting'`)
	f.refuse.Store(false)
	js.do(`log.length = 0; clock.advance(500)`)
	// Whoever closes for another reason, or with another code, doesn't spread them.
	ends(lasts(5000), 1012, "the node restarts", 2500)
	ends(lasts(5000), 1012, move+"!", 2500)
	ends(lasts(5000), 1013, move, 7500)
	ends(lasts(5000), 1001, move, 125)
	// Up to 250 ms.
	js.do(`chance = 1`)
	ends(lasts(5000), 1012, move, 250)
	js.do(`c.close()`)
}

func heartbeat(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a'] })`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	js.wait(`log.includes('subscribed a 1-00000001')`)
	js.waits(25000)
	js.do(`clock.advance(25_000)`)
	c.expect(frame{"type": "ping"})
	js.waits(10000, 25000)
	c.tell(frame{"type": "pong"})
	js.wait(`clock.waits().length === 1`)
	// Any frame is a sign of life.
	js.do(`clock.advance(25_000)`)
	c.expect(frame{"type": "ping"})
	c.tell(frame{"type": "message", "channel": "a", "id": "2-00000001", "at": 1, "data": 2})
	js.wait(`clock.waits().length === 1`)
	js.do(`clock.advance(25_000)`)
	c.expect(frame{"type": "ping"})
	js.do(`clock.advance(9999)`)
	if state := value[string](js, `c.state`); state != "open" {
		t.Errorf("before its time the client is %s", state)
	}
	js.do(`log.length = 0; clock.advance(1)`)
	js.logged("error close", "error lost", "close 1006 - opened 125")
	// It doesn't wait for the one that is dead.
	js.do(`clock.advance(125)`)
	f.welcome().subscribed(frame{"channel": "a", "since": "2-00000001"}, frame{"id": "2-00000001"})
	js.quiet()
}

func closing(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a'] })`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	js.wait(`c.subscription('a').id`)
	js.do(`log.length = 0; read('it', c); follow('publish', c.publish('a', 1)); c.close(4000, 'enough'); c.close()`)
	c.next()
	if code := c.closed(); code != 4000 {
		t.Errorf("closed with %d", code)
	}
	js.loggedApart("close state error it publish",
		"close 4000 enough opened final", "state closed", "publish failed closed sent", "it done")
	js.waits()
	// Closed before it was open, and before it began. That may still get through
	// to a server: another one's.
	other := newFake(t)
	for _, begin := range []string{"", "await null;"} {
		js.do(`log.length = 0; open(%q); %s c.close()`, other.url+"/ws", begin)
		js.logged("close", "close 1000 - unopened final")
		js.waits()
	}
	for _, bad := range []string{"1001", "1008", "2999", "5000", "'x'", "1000, 'é'.repeat(62)"} {
		if got := value[string](js, `(() => { try { c.close(`+bad+`) } catch (err) { return err.name } })()`); got != "RangeError" {
			t.Errorf("close(%s): %s", bad, got)
		}
	}
	// By a listener, whatever it hears of.
	for _, event := range []string{"state", "open", "close", "subscribed", "message"} {
		js.do(`c.close(); log.length = 0; open(%q, { channels: ['a'] }); c.on(%q, () => c.close())`, f.url+"/ws", event)
		if event != "state" {
			c := f.welcome()
			if event == "message" || event == "subscribed" {
				c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
			}
			if event == "message" {
				c.tell(frame{"type": "message", "channel": "a", "id": "2-00000001", "at": 1, "data": 2})
			}
			if event == "close" {
				c.cut()
			}
		}
		js.wait(`c.state === 'closed'`)
		js.waits()
		if got := value[int](js, `log.filter((line) => line.endsWith('final')).length`); got != 1 {
			t.Errorf("closed by a listener to %s: %d last closes", event, got)
		}
		if got := value[string](js, `log.at(-1)`); got != "state closed" {
			t.Errorf("closed by a listener to %s: at last comes %s", event, got)
		}
	}
	js.quiet()
}

// A listener that throws harms nobody else.
func listeners(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a'] })
		globalThis.faults = [];
		if (typeof reportError === 'function') globalThis.reportError = (err) => faults.push(err.message);
		else process.on('uncaughtException', (err) => faults.push(err.message));
		c.subscription('a').on('message', () => { throw Error('mine'); });
		globalThis.twice = 0;
		const f = () => twice++;
		globalThis.off = [c.on('message', f), c.on('message', f)];`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	for i, want := range []int{2, 3, 3} {
		c.tell(frame{"type": "message", "channel": "a", "id": fmt.Sprintf("%d-00000001", i+2), "at": 1, "data": i})
		js.logged("message error close", fmt.Sprintf("message a %d-00000001 json %d", i+2, i))
		js.wait(fmt.Sprintf(`faults.length === %d && faults.every((m) => m === 'mine')`, i+1))
		if got := value[int](js, "twice"); got != want {
			t.Errorf("message %d: the function was called %d times, want %d", i, got, want)
		}
		if i < 2 {
			js.do(`off[%d](); off[%d]()`, i, i)
		}
	}
	if got := value[string](js, `(() => { try { c.on('mesage', () => {}) } catch (err) { return err.name } })()`); got != "TypeError" {
		t.Errorf("an unknown event: %s", got)
	}
	js.quiet()
}
