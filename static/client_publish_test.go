package static_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func publish(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a'] });
		follow('early', c.publish('a', 'before it is open'));
		globalThis.odd = new Uint8Array([9, 0, 255, 254, 9]).subarray(1, 4);`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	ids := map[any]bool{}
	answer := func(want frame, answers ...frame) {
		t.Helper()
		got := c.next()
		ref, id := got["ref"], got["id"]
		delete(got, "ref")
		delete(got, "id")
		if fmt.Sprint(got) != fmt.Sprint(want) || ids[id] {
			t.Fatalf("the client publishes %v with id %v, want %v", got, id, want)
		}
		ids[id] = true
		for _, a := range answers {
			a["ref"] = ref
			c.tell(a)
		}
	}
	answer(frame{"type": "publish", "channel": "a", "text": "before it is open"}, frame{"type": "ack", "mid": "m1"})
	js.wait(`log.at(-1).startsWith('early ok')`)
	for _, p := range []struct {
		js   string
		want frame
	}{
		{`'text <é\u0000"\\'`, frame{"text": "text <é\u0000\"\\"}},
		{`''`, frame{"text": ""}},
		{`{ a: [1, null, 'ü'], u: undefined }`, frame{"data": map[string]any{"a": []any{1., nil, "ü"}}}},
		{`null`, frame{"data": nil}},
		{`0`, frame{"data": 0.}},
		{`[['['.repeat(100)]]`, frame{"data": []any{[]any{strings.Repeat("[", 100)}}}},
		{`odd`, frame{"base64": "AP/+"}},
		{`odd.slice().buffer`, frame{"base64": "AP/+"}},
		{`new DataView(odd.buffer, 1, 3)`, frame{"base64": "AP/+"}},
		{`new Uint8Array(0)`, frame{"base64": ""}},
	} {
		js.do(`follow('p', c.publish('b/c', %s))`, p.js)
		p.want["type"], p.want["channel"] = "publish", "b/c"
		answer(p.want, frame{"type": "ack", "mid": "m2"})
		js.wait(`log.at(-1).startsWith('p ')`)
		if got := value[string](js, `log.at(-1).replace(/"id":"[^"]*"/, '')`); got != `p ok {"mid":"m2",}` {
			t.Errorf("%s: %s", p.js, got)
		}
	}
	// Large ones go in pieces through the encoder.
	js.do(`globalThis.big = c.publish('a', new Uint8Array(100_001).fill(7))`)
	big := c.next()
	if want := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 100_001)); big["base64"] != want {
		t.Errorf("%d characters of base64, want %d", len(big["base64"].(string)), len(want))
	}
	c.tell(frame{"type": "ack", "mid": "m3", "ref": big["ref"]})
	js.do(`await big; log.length = 0`)
	// Refused: by the node, and by the module itself.
	js.do(`follow('p', c.publish('a', 1, { id: 'mine' }))`)
	got := c.next()
	if got["id"] != "mine" {
		t.Errorf("the id is %v", got["id"])
	}
	c.tell(frame{"type": "error", "code": "not_accepted", "message": "no", "ref": got["ref"]})
	js.logged("p error", "p failed not_accepted")
	for _, bad := range []string{`undefined`, `() => 1`, `Symbol('x')`, `10n`, `JSON.parse('['.repeat(64) + ']'.repeat(64))`} {
		js.do(`follow('p', c.publish('a', %s))`, bad)
		js.logged("p", "p failed TypeError")
	}
	js.do(`follow('p', c.publish(3, 1))`)
	js.logged("p", "p failed TypeError")
	js.do(`c.publish('a', JSON.parse('['.repeat(63) + ']'.repeat(63)))`)
	c.next()
	if got := value[int](js, `c.pending.messages`); got != 1 {
		t.Errorf("%d messages are pending", got)
	}
	js.quiet()
}

// What has no ack when the connection is lost is sent again, as it was.
func publishAgain(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q); for (let i = 0; i < 4; i++) follow('p' + i, c.publish('a', i))`, f.url+"/ws")
	c := f.welcome()
	session := c.query.Get("session")
	sent := make([]frame, 4)
	for i := range sent {
		sent[i] = c.next()
	}
	// Acks come in any order.
	c.tell(frame{"type": "ack", "mid": "m2", "ref": sent[2]["ref"]})
	js.wait(`log.some((line) => line.startsWith('p2 ok'))`)
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.do(`follow('p4', c.publish('a', 4)); c.reconnect()`)
	c = f.welcome()
	if again := c.query.Get("session"); again != session {
		t.Errorf("another session: %s, then %s", session, again)
	}
	for _, i := range []int{0, 1, 3} {
		got := c.next()
		if fmt.Sprint(got) != fmt.Sprint(sent[i]) {
			t.Errorf("sent again: %v, first %v", got, sent[i])
		}
		c.tell(frame{"type": "ack", "mid": fmt.Sprint("m", i), "ref": got["ref"]})
	}
	got := c.next()
	if got["data"] != 4. {
		t.Errorf("then comes %v", got)
	}
	c.tell(frame{"type": "ack", "mid": "m4", "ref": got["ref"]})
	js.wait(`c.pending.messages === 0 && log.some((line) => line.startsWith('p4'))`)
	if n := value[int](js, `log.filter((line) => /^p\d ok/.test(line)).length`); n != 5 {
		t.Errorf("%d of 5 are acknowledged", n)
	}
	if b := value[int](js, `c.pending.bytes`); b != 0 {
		t.Errorf("%d bytes are pending", b)
	}
}

func publishAtLimit(t *testing.T, f *fake, js *runtime) {
	// Closed in the same turn, a connection isn't even tried.
	js.do(`globalThis.p = (name, n) => follow(name, c.publish('a', 'x'.repeat(n)));
		open(%[1]q); for (let i = 0; i < 1000; i++) c.publish('a', i).catch(() => {}); p('over', 1); c.close();
		open(%[1]q); p('large', 4 << 20); p('fits', (4 << 20) - 1000); c.close();
		open(%[1]q, { outbox: { messages: 2, bytes: 1000 } }); p('one', 100); p('two', 1000); p('three', 100); p('four', 1)`, f.url+"/ws")
	js.loggedApart("over large fits two four", "over failed full", "large failed full", "fits failed closed", "two failed full", "four failed full")
	// An ack makes room.
	c := f.welcome()
	c.tell(frame{"type": "ack", "mid": "m1", "ref": c.next()["ref"]})
	c.next()
	js.wait(`c.pending.messages === 1`)
	js.do(`p('five', 1)`)
	if got := c.next(); got["text"] != "x" {
		t.Errorf("sent %v", got)
	}
	js.quiet()
}

func publishGivenUp(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q); globalThis.ac = new AbortController();
		follow('unsent', c.publish('a', 1, { timeout: 100 })); follow('gone', c.publish('a', 2, { signal: AbortSignal.abort() }));
		clock.advance(100)`, f.url+"/ws")
	js.loggedApart("unsent gone", "gone failed 20", "unsent failed timeout")
	c := f.welcome()
	js.wait(`c.state === 'open'`)
	js.do(`follow('late', c.publish('a', 3, { timeout: 100 })); follow('left', c.publish('a', 4, { signal: ac.signal })); follow('kept', c.publish('a', 5, { timeout: 500 }))`)
	three, four, five := c.next(), c.next(), c.next()
	if three["data"] != 3. || four["data"] != 4. || five["data"] != 5. {
		t.Errorf("sent %v, %v, %v", three, four, five)
	}
	js.do(`clock.advance(100); ac.abort()`)
	js.loggedApart("late left", "late failed timeout sent", "left failed 20")
	// Acks that come late are of no use, and what was given up isn't sent again.
	c.tell(frame{"type": "ack", "mid": "m3", "ref": three["ref"]}, frame{"type": "pong"})
	c.cut()
	js.wait(`c.state === 'waiting'`)
	js.do(`c.reconnect()`)
	c = f.welcome()
	if got := c.next(); got["data"] != 5. {
		t.Errorf("sent again: %v", got)
	} else {
		c.tell(frame{"type": "ack", "mid": "m5", "ref": got["ref"]})
	}
	js.wait(`log.some((line) => line.startsWith('kept ok'))`)
	js.waits(25000) // no timeout is left
	js.quiet()
}

// A message that is too large costs itself, not the others.
func tooLarge(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q); follow('small', c.publish('a', 1)); follow('big', c.publish('a', 'x'.repeat(5000))); follow('next', c.publish('a', 2))`, f.url+"/ws")
	c := f.welcome()
	c.next()
	c.next()
	c.next()
	js.wait(`c.state === 'open'`)
	c.end(1009, "message over 4096 bytes")
	js.loggedApart("small big next close", "close 1009 message over 4096 bytes opened 125", "big failed too_large")
	js.do(`c.reconnect()`)
	c = f.welcome()
	for _, want := range []float64{1, 2} {
		got := c.next()
		if got["data"] != want {
			t.Errorf("sent again: %v, want %v", got, want)
		}
		c.tell(frame{"type": "ack", "mid": "m", "ref": got["ref"]})
	}
	js.wait(`c.pending.messages === 0`)
	js.quiet()
}

// While the socket holds much back, publishes wait outside of it, pings don't.
func fullSocket(t *testing.T, _ *fake, js *runtime) {
	js.do(`class Full {
			static last;
			sent = [];
			readyState = 0;
			protocol = 'warren.v1.json';
			bufferedAmount = 0;
			constructor() { Full.last = this; }
			send(text) { this.sent.push(JSON.parse(text).type); }
			close() { this.readyState = 3; }
		}
		globalThis.Full = Full;
		open('ws://nowhere.invalid/ws', { WebSocket: Full });
		await null;
		Full.last.readyState = 1;
		Full.last.onopen();
		Full.last.onmessage({ data: '{"type":"welcome"}' });
		Full.last.bufferedAmount = 300_000;
		c.publish('a', 1).catch(() => {}); c.publish('a', 2).catch(() => {})`)
	js.waits(50, 25000)
	js.do(`clock.advance(25_000)`)
	if got := value[string](js, `Full.last.sent.join()`); got != "ping" {
		t.Errorf("sent over a full socket: %s", got)
	}
	js.do(`Full.last.bufferedAmount = 1000; clock.advance(50)`)
	if got := value[string](js, `Full.last.sent.join()`); got != "ping,publish,publish" {
		t.Errorf("sent: %s", got)
	}
	js.do(`c.close()`)
}

func requests(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q); for (const n of [1, 2, 3]) follow('r' + n, c.request('rpc', n))`, f.url+"/ws")
	c := f.welcome()
	one, two, three := c.next(), c.next(), c.next()
	c.tell(
		frame{"type": "direct", "text": "unasked"},
		frame{"type": "direct", "id": "m2", "data": "two"}, // before its ack
		frame{"type": "ack", "ref": two["ref"], "mid": "m2"},
		frame{"type": "ack", "ref": one["ref"], "mid": "m1"},
		frame{"type": "direct", "id": "m1", "base64": "AQI="},
		frame{"type": "direct", "id": "m1", "data": "once more"},
		frame{"type": "error", "ref": three["ref"], "code": "bad_channel", "message": "no"},
		frame{"type": "direct", "data": "at once"},
	)
	js.wait(`log.includes('direct undefined json "at once"')`)
	js.loggedApart("r1 r2 r3 direct",
		`direct undefined text "unasked"`, `direct m1 json "once more"`, `direct undefined json "at once"`,
		`r2 ok {"type":"direct","id":"m2","kind":"json","data":"two"}`,
		`r1 ok {"type":"direct","id":"m1","kind":"binary","data":{"0":1,"1":2}}`,
		`r3 failed bad_channel`)
	js.waits(25000)
	// Without an answer: 10 s, or as long as is said.
	js.do(`follow('r4', c.request('rpc', 4)); follow('r5', c.request('rpc', 5, { timeout: 20_000 }))`)
	four, five := c.next(), c.next()
	c.tell(frame{"type": "ack", "ref": four["ref"], "mid": "m4"}, frame{"type": "ack", "ref": five["ref"], "mid": "m5"}, frame{"type": "direct", "data": "mark"})
	js.logged("direct", `direct undefined json "mark"`)
	js.do(`clock.advance(10_000)`)
	js.loggedApart("r4 r5", "r4 failed timeout sent")
	js.do(`clock.advance(10_000)`)
	js.logged("r5", "r5 failed timeout sent")
	js.quiet()
}

// Answers are sent to one connection: behind its end none comes.
func requestsLost(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q); follow('acked', c.request('rpc', 1)); follow('unacked', c.request('rpc', 2))`, f.url+"/ws")
	c := f.welcome()
	one, two := c.next(), c.next()
	c.tell(frame{"type": "ack", "ref": one["ref"], "mid": "m1"}, frame{"type": "direct", "id": "m9", "data": "of another time"},
		frame{"type": "error", "code": "mark", "message": "all of that came"})
	js.wait(`log.includes('error mark')`)
	c.cut()
	js.loggedApart("acked unacked direct", `direct m9 json "of another time"`, "acked failed lost sent")
	js.do(`c.reconnect()`)
	c = f.welcome()
	if got := c.next(); fmt.Sprint(got) != fmt.Sprint(two) {
		t.Errorf("sent again: %v", got)
	}
	c.tell(frame{"type": "ack", "ref": two["ref"], "mid": "m2"}, frame{"type": "direct", "id": "m2", "data": 2})
	js.logged("unacked", `unacked ok {"type":"direct","id":"m2","kind":"json","data":2}`)
	js.quiet()
}
