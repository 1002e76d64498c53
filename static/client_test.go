package static_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestClient plays the gateway to the client, in Chromium and in Node.
func TestClient(t *testing.T) {
	in(t, map[string]func(*testing.T, *fake, *runtime){
		"channels":         channels,
		"address":          address,
		"token":            tokens,
		"resume":           resume,
		"resume by pong":   resumeByPong,
		"no place":         resumeWithoutPlace,
		"repeats":          repeats,
		"gaps":             gaps,
		"refusals":         refusals,
		"unsubscribe":      unsubscribe,
		"garbage":          garbage,
		"later versions":   laterVersions,
		"backoff":          backoff,
		"close codes":      clientCloseCodes,
		"moved on":         movedOn,
		"heartbeat":        heartbeat,
		"closing":          closing,
		"listeners":        listeners,
		"iterators":        iterators,
		"slow iterators":   slowIterators,
		"iterators' ends":  iteratorsEnds,
		"publish":          publish,
		"publish again":    publishAgain,
		"publish at limit": publishAtLimit,
		"publish given up": publishGivenUp,
		"too large":        tooLarge,
		"full socket":      fullSocket,
		"requests":         requests,
		"requests lost":    requestsLost,
	})
}

func channels(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a', { channel: 'b', since: '7-00000001' }], history: 5 }); c.subscribe('')`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a", "history": 5.}, frame{"id": "1-00000001"})
	c.subscribed(frame{"channel": "b", "since": "7-00000001"}, frame{"id": "7-00000001"})
	c.subscribed(frame{"channel": "", "history": 5.}, frame{"id": "2-00000001"})
	c.tell(
		frame{"type": "message", "channel": "a", "id": "10-00000001", "mid": "m10", "at": 1, "data": map[string]any{"x": []int{1}}},
		frame{"type": "message", "channel": "a", "root": true, "id": "10-00000001", "mid": "m10", "at": 1, "data": nil},
		frame{"type": "message", "channel": "b", "id": "11-00000001", "at": 1, "text": "<b>é\u0000"},
		frame{"type": "message", "channel": "", "root": true, "id": "12-00000001", "at": 1, "base64": "AP/+"},
		frame{"type": "message", "channel": "b", "id": "13-00000001", "at": 1, "base64": ""},
		frame{"type": "message", "channel": "b", "id": "14-00000001", "at": 1, "text": ""},
		frame{"type": "message", "channel": "other", "id": "15-00000001", "at": 1, "text": "of no subscription"},
		frame{"type": "message", "channel": "a", "id": "16-00000001", "at": 1, "data": "last"},
	)
	js.wait(`log.at(-1).endsWith('"last"')`)
	js.logged("open subscribed message",
		"open n1 c1 undefined",
		"subscribed a 1-00000001",
		"subscribed b 7-00000001 resumed",
		"subscribed - 2-00000001",
		`message a 10-00000001 json {"x":[1]}`,
		"message a* 10-00000001 json null",
		`message b 11-00000001 text "<b>é\u0000"`,
		"message -* 12-00000001 binary <0,255,254>",
		"message b 13-00000001 binary <>",
		`message b 14-00000001 text ""`,
		`message a 16-00000001 json "last"`,
	)
	if got := value[string](js, `c.subscriptions.map((s) => s.channel + ' ' + s.id).join()`); got != "a 16-00000001,b 14-00000001, 12-00000001" {
		t.Errorf("subscriptions are %s", got)
	}
	js.do(`if (await c.subscription('a').ready !== c.subscription('a')) throw Error('not ready')`)
	js.quiet()
}

func address(t *testing.T, f *fake, js *runtime) {
	sessions := map[string]bool{}
	for _, url := range []string{f.url + "/ws", strings.Replace(f.url, "http:", "ws:", 1) + "/ws#hash", f.url + "/ws?x=1"} {
		js.do(`open(%q, { token: 'a/b&c' })`, url)
		c := f.welcome()
		session := c.query.Get("session")
		if c.path != "/ws" || !regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`).MatchString(session) || sessions[session] {
			t.Errorf("%s: path %s, session %q", url, c.path, session)
		}
		sessions[session] = true
		if got := c.query.Get("token"); got != "a/b&c" {
			t.Errorf("token %q", got)
		}
		if strings.Contains(url, "?") && c.query.Get("x") != "1" {
			t.Errorf("the query is %v", c.query)
		}
		if p := c.Subprotocol(); p != "warren.v1.json" {
			t.Errorf("subprotocol %q", p)
		}
		js.wait(`c.state === 'open'`)
		c.cut()
		js.wait(`c.state === 'waiting'`)
		js.do(`c.reconnect()`)
		if again := f.welcome(); again.query.Get("session") != session {
			t.Errorf("came back with another session")
		}
		js.do(`c.close()`)
	}
	for _, bad := range []string{`'ftp://host/ws'`, `'ws://'`, `undefined`} {
		if got := value[string](js, `(() => { try { open(`+bad+`); return 'taken' } catch (err) { return err.name } })()`); bad != "undefined" && got != "TypeError" {
			t.Errorf("%s: %s", bad, got)
		}
	}
	js.do(`c.close()`)
}

func tokens(t *testing.T, f *fake, js *runtime) {
	js.do(`globalThis.n = 0; open(%q, { token: async () => {
		if (++n === 2) throw Error('no login');
		return 'token' + n;
	} })`, f.url+"/ws")
	c := f.welcome()
	if got := c.query.Get("token"); got != "token1" {
		t.Errorf("token %q", got)
	}
	js.logged("open", "open n1 c1 undefined")
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.logged("error close", "close 1006 - opened 125")
	js.do(`c.reconnect()`)
	js.logged("error close", "error token", "close 1006 - unopened 250")
	js.do(`c.reconnect()`)
	if got := f.welcome().query.Get("token"); got != "token3" {
		t.Errorf("token %q", got)
	}
	js.logged("open", "open n1 c1 undefined")
	// One that never comes ends the attempt as well.
	js.do(`open(%q, { token: () => new Promise(() => {}) }); await null; clock.advance(10_000)`, f.url+"/ws")
	js.logged("error close", "error connect", "close 1006 - unopened 125")
	// Nor is one that comes later of any use.
	js.do(`c.close(); n = 0; globalThis.dials = 0; open(%q, {
			token: () => ++n === 1 ? new Promise((resolve) => { globalThis.late = resolve; }) : 'fresh',
			WebSocket: class extends Sockets { constructor(...args) { super(...args); dials++; } },
		});
		await null; clock.advance(10_000); late('late')`, f.url+"/ws")
	if n := value[int](js, `dials`); n != 0 {
		t.Errorf("%d connections with a token that came too late", n)
	}
	js.do(`c.reconnect()`)
	if got := f.welcome().query.Get("token"); got != "fresh" {
		t.Errorf("token %q", got)
	}
	js.quiet()
}

func resume(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a', 'b'], history: 3 })`, f.url+"/ws")
	// Cut before anything was answered: nothing is known yet.
	c := f.welcome()
	c.expect(frame{"type": "subscribe", "channel": "a", "history": 3.})
	c.cut()
	again := func() {
		t.Helper()
		js.wait(`c.state === 'waiting'`)
		js.do(`c.reconnect()`)
	}
	again()
	// Cut between one answer and the other.
	c = f.welcome()
	c.subscribed(frame{"channel": "a", "history": 3.}, frame{"id": "5-00000001"})
	js.wait(`log.includes('subscribed a 5-00000001')`)
	c.cut()
	again()
	// Cut behind a message.
	c = f.welcome()
	c.subscribed(frame{"channel": "a", "since": "5-00000001"}, frame{"id": "5-00000001"})
	c.subscribed(frame{"channel": "b", "history": 3.}, frame{"id": "6-00000001"})
	c.tell(frame{"type": "message", "channel": "a", "id": "7-00000001", "at": 1, "data": 7})
	js.wait(`log.includes('message a 7-00000001 json 7')`)
	c.cut()
	again()
	// The node that is come to may not know the id.
	c = f.welcome()
	c.subscribed(frame{"channel": "a", "since": "7-00000001"}, frame{"id": "8-00000001", "gap": true})
	c.subscribed(frame{"channel": "b", "since": "6-00000001"}, frame{"id": "6-00000001"})
	c.tell(
		frame{"type": "message", "channel": "a", "id": "9-00000001", "at": 1, "data": 9},
		frame{"type": "message", "channel": "b", "id": "10-00000001", "at": 1, "data": 10},
	)
	js.logged("subscribed message gap",
		"subscribed a 5-00000001",
		"subscribed a 5-00000001 resumed",
		"subscribed b 6-00000001",
		"message a 7-00000001 json 7",
		"subscribed a 8-00000001 gap resumed",
		"gap a 7-00000001..8-00000001 resume",
		"subscribed b 6-00000001 resumed",
		"message a 9-00000001 json 9",
		"message b 10-00000001 json 10",
	)
	// The application resumes with what it kept.
	js.do(`c.close(); open(%q, { channels: [{ channel: 'a', since: c.subscription('a').id }], history: 3 })`, f.url+"/ws")
	f.welcome().subscribed(frame{"channel": "a", "since": "9-00000001"}, frame{"id": "9-00000001"})
	js.logged("subscribed", "subscribed a 9-00000001 resumed")
	js.quiet()
}

// A node may know no place where a subscription begins. Until a message or a pong
// names one, the subscription begins as it did.
func resumeWithoutPlace(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a'], history: 3 })`, f.url+"/ws")
	for range 2 {
		c := f.welcome()
		c.subscribed(frame{"channel": "a", "history": 3.}, frame{})
		js.wait(`log.at(-1) === 'subscribed a undefined'`)
		js.do(`log.push('cut')`)
		c.cut()
		js.wait(`c.state === 'waiting'`)
		js.do(`c.reconnect()`)
	}
	c := f.welcome()
	c.subscribed(frame{"channel": "a", "history": 3.}, frame{})
	c.tell(frame{"type": "message", "channel": "a", "id": "7-00000001", "at": 1, "data": 7})
	js.wait(`log.includes('message a 7-00000001 json 7')`)
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.do(`c.reconnect()`)
	// One that doesn't know the id may know no other.
	f.welcome().subscribed(frame{"channel": "a", "since": "7-00000001"}, frame{"gap": true})
	js.wait(`log.at(-1) === 'gap a 7-00000001..undefined resume'`)
	js.quiet()
}

func resumeByPong(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a', 'b'] })`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	ref := c.expect(frame{"type": "subscribe", "channel": "b"})
	js.wait(`log.includes('subscribed a 1-00000001')`)
	js.do(`clock.advance(25_000)`)
	c.expect(frame{"type": "ping"})
	// Before b is taken, the id says nothing of b.
	c.tell(frame{"type": "pong", "id": "8-00000001"}, frame{"type": "subscribed", "channel": "b", "id": "3-00000001", "ref": ref})
	js.wait(`log.includes('subscribed b 3-00000001')`)
	if got := value[string](js, `c.subscriptions.map((s) => s.id).join()`); got != "8-00000001,3-00000001" {
		t.Errorf("ids are %s", got)
	}
	c.tell(frame{"type": "pong"}, frame{"type": "message", "channel": "b", "id": "9-00000001", "at": 1, "data": 9})
	js.wait(`log.at(-1) === 'message b 9-00000001 json 9'`)
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.do(`c.reconnect()`)
	c = f.welcome()
	// Nor does it on a new connection.
	c.tell(frame{"type": "pong", "id": "20-00000001"})
	c.subscribed(frame{"channel": "a", "since": "8-00000001"}, frame{"id": "8-00000001"})
	c.expect(frame{"type": "subscribe", "channel": "b", "since": "9-00000001"})
	js.wait(`log.includes('subscribed a 8-00000001 resumed')`)
	if got := value[string](js, `c.subscriptions.map((s) => s.id).join()`); got != "8-00000001,9-00000001" {
		t.Errorf("then ids are %s", got)
	}
}

// A node that gives again what was given is not believed.
func repeats(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a', ''] })`, f.url+"/ws")
	message := func(id string) frame {
		return frame{"type": "message", "channel": "a", "id": id + "-00000001", "at": 1, "data": id}
	}
	root := func(id string) frame {
		m := message(id)
		m["root"] = true
		return m
	}
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	c.subscribed(frame{"channel": ""}, frame{"id": "1-00000001"})
	c.tell(message("2"), root("2"), message("3"), message("3"))
	js.wait(`log.includes('message a 3-00000001 json "3"')`)
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.do(`c.reconnect()`)
	c = f.welcome()
	c.subscribed(frame{"channel": "a", "since": "3-00000001"}, frame{"id": "3-00000001"})
	c.subscribed(frame{"channel": "", "since": "2-00000001"}, frame{"id": "2-00000001"})
	// An id with a lower number may be new all the same: a stream was cut.
	c.tell(message("2"), message("3"), root("2"), root("3"), frame{"type": "message", "channel": "a", "id": "2-0000000f", "at": 1, "data": "2f"}, message("4"))
	js.logged("message gap",
		`message a 2-00000001 json "2"`, `message a* 2-00000001 json "2"`, `message a 3-00000001 json "3"`,
		`message a* 3-00000001 json "3"`, `message a 2-0000000f json "2f"`, `message a 4-00000001 json "4"`)
	if got := value[string](js, `c.subscription('a').id`); got != "4-00000001" {
		t.Errorf("the id is %s", got)
	}
}

func gaps(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a', ''] }); read('it', c.messages())`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	c.subscribed(frame{"channel": ""}, frame{"id": "1-00000001"})
	c.tell(
		frame{"type": "message", "channel": "a", "id": "2-00000001", "at": 1, "data": 2},
		frame{"type": "gap", "channel": "a"},
		frame{"type": "message", "channel": "a", "id": "5-00000001", "at": 1, "data": 5},
		frame{"type": "gap", "channel": "a", "from": "5-00000001", "to": "7-00000001"},
		frame{"type": "gap", "channel": "", "from": "6-00000001", "to": "7-00000001"},
		frame{"type": "gap", "channel": "", "root": true},
		frame{"type": "gap", "channel": "other"},
		frame{"type": "message", "channel": "a", "id": "8-00000001", "at": 1, "data": 8},
	)
	want := []string{
		"message a 2-00000001 json 2",
		"gap a 2-00000001..undefined node",
		"message a 5-00000001 json 5",
		"gap a 5-00000001..7-00000001 node",
		"gap - 6-00000001..7-00000001 node",
		"gap - 1-00000001..undefined node",
		"message a 8-00000001 json 8",
	}
	js.wait(`log.at(-1) === 'it message a 8-00000001 json 8'`)
	if got := value[[]string](js, `log.filter((line) => line.startsWith('it ')).map((line) => line.slice(3))`); lines(got...) != lines(want...) {
		t.Errorf("iterated\n%s\nwant\n%s", lines(got...), lines(want...))
	}
	js.logged("message gap", want...)
}

func refusals(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a', 'b'] }); follow('ready', c.subscription('b').ready); read('it', c.subscription('b').messages())`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	ref := c.expect(frame{"type": "subscribe", "channel": "b"})
	c.tell(
		frame{"type": "error", "code": "too_many_channels", "message": "at most 1", "ref": ref},
		frame{"type": "error", "code": "bad_message", "message": "of nobody knows what"},
	)
	js.wait(`log.includes('error bad_message')`)
	js.loggedApart("error ready it", "error too_many_channels in b", "ready failed too_many_channels", "it failed too_many_channels", "error bad_message")
	if got := value[string](js, `c.state + c.subscriptions.length`); got != "open1" {
		t.Errorf("afterwards: %s", got)
	}
	// The same channel twice is the caller's mistake.
	if got := value[string](js, `(() => { try { c.subscribe('a') } catch (err) { return err.code } })()`); got != "already_subscribed" {
		t.Errorf("subscribing twice: %s", got)
	}
	js.quiet()
}

func unsubscribe(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q); globalThis.sub = c.subscribe('a'); read('it', sub)`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	c.tell(frame{"type": "message", "channel": "a", "id": "2-00000001", "at": 1, "data": 2})
	js.wait(`log.includes('message a 2-00000001 json 2')`)
	js.do(`sub.unsubscribe(); sub.unsubscribe(); sub = c.subscribe('a')`)
	ref := c.expect(frame{"type": "unsubscribe", "channel": "a"})
	// What is still on its way belongs to nobody.
	c.tell(
		frame{"type": "message", "channel": "a", "id": "3-00000001", "at": 1, "data": 3},
		frame{"type": "gap", "channel": "a"},
		frame{"type": "unsubscribed", "channel": "a", "ref": ref},
	)
	c.subscribed(frame{"channel": "a"}, frame{"id": "4-00000001"})
	c.tell(frame{"type": "message", "channel": "a", "id": "5-00000001", "at": 1, "data": 5})
	js.logged("message gap it", "message a 2-00000001 json 2", "it message a 2-00000001 json 2", "it done", "message a 5-00000001 json 5")
	// Given up before it was taken: neither messages, nor a subscription after the reconnect.
	js.do(`c.subscribe('b').unsubscribe(); sub.unsubscribe()`)
	ref = c.expect(frame{"type": "subscribe", "channel": "b"})
	c.expect(frame{"type": "unsubscribe", "channel": "b"})
	c.expect(frame{"type": "unsubscribe", "channel": "a"})
	c.tell(frame{"type": "subscribed", "channel": "b", "id": "5-00000001", "ref": ref}, frame{"type": "pong"})
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.do(`c.reconnect()`)
	c = f.welcome()
	js.wait(`c.state === 'open'`)
	js.do(`c.subscribe('end')`)
	c.subscribed(frame{"channel": "end"}, frame{"id": "9-00000001"})
	js.logged("subscribed", "subscribed end 9-00000001")
	js.quiet()
}

func garbage(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a'] })`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	for _, bad := range []string{
		`{`, `null`, `[]`, `3`, ``, "\xff",
		`{"type":"message","channel":"a","at":1,"data":1}`,
		`{"type":"message","channel":"a","id":"2-00000001","at":1}`,
		`{"type":"message","channel":"a","id":"2-00000001","at":1,"base64":"?"}`,
		`{"type":"message","channel":"a","id":3,"at":1,"data":1}`,
	} {
		js.wait(`c.state === 'open' && c.subscription('a').id === '1-00000001'`)
		js.do(`log.length = 0`)
		if bad == "\xff" {
			c.send(websocket.MessageBinary, bad)
		} else {
			c.send(websocket.MessageText, bad)
		}
		js.wait(`c.state === 'waiting'`)
		if got := value[string](js, `log.map((line) => line.split(' ').slice(0, 2).join(' ')).filter((line) => !/^(open|state|subscribed)/.test(line)).join()`); got != "error bad_frame,close 1006" {
			t.Errorf("%q: logged %s", bad, got)
		}
		js.do(`c.reconnect()`)
		c = f.welcome()
		c.subscribed(frame{"channel": "a", "since": "1-00000001"}, frame{"id": "1-00000001"})
	}
	js.quiet()
}

func laterVersions(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a'] })`, f.url+"/ws")
	c := f.accept()
	c.tell(frame{"type": "news"}, frame{"type": "__proto__"}, frame{"type": 3}, frame{},
		frame{"type": "welcome", "connection": "c1", "node": "n1", "user": "u", "more": 1})
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001", "more": 1})
	c.tell(frame{"type": "ack", "ref": 99, "mid": "m"}, frame{"type": "error", "ref": 98, "code": "x", "message": "y"},
		frame{"type": "subscribed", "channel": "b", "id": "1-00000001"}, frame{"type": "welcome"},
		frame{"type": "message", "channel": "a", "id": "2-00000001", "at": 1, "data": 2, "more": 1})
	js.logged("open close error message", "open n1 c1 u", "message a 2-00000001 json 2")
	js.quiet()
}
