package static_test

import (
	"fmt"
	"testing"
)

func numbered(channel string, n int) frame {
	return frame{"type": "message", "channel": channel, "id": fmt.Sprintf("%d-00000001", n), "at": 1, "data": n}
}

func iterators(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a', 'b'] }); read('all', c); read('a', c.subscription('a')); globalThis.feed = c.subscription('b').messages()`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	c.subscribed(frame{"channel": "b"}, frame{"id": "1-00000001"})
	c.tell(numbered("a", 2), numbered("b", 3), numbered("a", 4), numbered("b", 5))
	js.wait(`log.includes('all message b 5-00000001 json 5')`)
	js.loggedApart("all a", "all message a 2-00000001 json 2", "a message a 2-00000001 json 2", "all message b 3-00000001 json 3",
		"all message a 4-00000001 json 4", "a message a 4-00000001 json 4", "all message b 5-00000001 json 5")
	// Asked for by several at once, and before there is any.
	js.do(`globalThis.three = Promise.all([feed.next(), feed.next(), feed.next()])`)
	c.tell(numbered("b", 6))
	if got := value[string](js, `three.then((all) => all.map((r) => r.value.data).join())`); got != "3,5,6" {
		t.Errorf("next gives %s", got)
	}
	js.do(`const end = feed.next(); await feed.return(); if (!(await end).done || !(await feed.next()).done) throw Error('goes on')`)
}

func slowIterators(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a', 'b'] }); globalThis.feed = c.messages({ limit: 3 }); globalThis.wide = c.messages();
		globalThis.take = async (feed) => { const { value: v } = await feed.next(); return v.type + ' ' + lines[v.type](v); }`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	c.subscribed(frame{"channel": "b"}, frame{"id": "1-00000001"})
	c.tell(numbered("a", 2))
	if got := value[string](js, `take(feed)`); got != "message a 2-00000001 json 2" {
		t.Errorf("first comes %s", got)
	}
	c.tell(numbered("a", 3), numbered("b", 4), frame{"type": "gap", "channel": "a", "to": "5-00000001"}, numbered("a", 6), numbered("a", 7), numbered("b", 8))
	js.wait(`log.includes('message b 8-00000001 json 8')`)
	want := []string{
		"gap a 2-00000001..5-00000001 slow 1",
		"gap b undefined..4-00000001 slow 1",
		"message a 6-00000001 json 6",
		"message a 7-00000001 json 7",
		"message b 8-00000001 json 8",
	}
	for _, line := range want {
		if got := value[string](js, `take(feed)`); got != line {
			t.Errorf("it gives %s, want %s", got, line)
		}
	}
	// Again: the gap begins behind what was read.
	c.tell(numbered("a", 11), numbered("a", 12), numbered("a", 13), numbered("a", 14), numbered("a", 15))
	js.wait(`log.includes('message a 15-00000001 json 15')`)
	if got := value[string](js, `take(feed)`); got != "gap a 7-00000001..12-00000001 slow 2" {
		t.Errorf("it gives %s", got)
	}
	c.tell(numbered("a", 16))
	js.wait(`log.includes('message a 16-00000001 json 16')`)
	if got := value[string](js, `take(feed)`); got != "gap a 12-00000001..13-00000001 slow 1" {
		t.Errorf("it gives %s", got)
	}
	// By itself the limit is 10,000, and nothing behind the gap is missing.
	js.do(`wide.return(); globalThis.wide = c.subscription('a').messages()`)
	for n := range 10_500 {
		c.tell(numbered("a", 100+n))
	}
	js.wait(`c.subscription('a').id === '10599-00000001'`)
	if got := value[string](js, `take(wide)`); got != "gap a undefined..599-00000001 slow 500" {
		t.Errorf("it gives %s", got)
	}
	if got := value[string](js, `(async () => {
		for (let n = 600; n < 10_600; n++) {
			const { value } = await wide.next();
			if (value.data !== n) return value.data + ' instead of ' + n;
		}
		return 'in order';
	})()`); got != "in order" {
		t.Errorf("the rest: %s", got)
	}
}

func iteratorsEnds(t *testing.T, f *fake, js *runtime) {
	js.do(`open(%q, { channels: ['a'] });
		globalThis.ac = new AbortController();
		read('aborted', c.messages({ signal: ac.signal }));
		globalThis.rest = c.subscription('a').messages({ signal: ac.signal });
		globalThis.last = c.subscription('a').messages();`, f.url+"/ws")
	c := f.welcome()
	c.subscribed(frame{"channel": "a"}, frame{"id": "1-00000001"})
	c.tell(numbered("a", 2), numbered("a", 3))
	js.wait(`log.includes('aborted message a 3-00000001 json 3')`)
	js.do(`log.length = 0; ac.abort(); read('rest', rest); read('born', c.messages({ signal: ac.signal }))`)
	js.wait(`log.length === 3`)
	js.logged("aborted rest born", "aborted failed 20", "rest failed 20", "born failed 20") // DOMException's code of an abort
	// What was there at the end is still given.
	js.do(`c.close(); read('last', last)`)
	js.wait(`log.includes('last done')`)
	js.logged("last", "last message a 2-00000001 json 2", "last message a 3-00000001 json 3", "last done")
	js.do(`read('closed', c)`)
	js.logged("closed", "closed done")
	if got := value[string](js, `(() => { try { c.messages({ limit: 0 }) } catch (err) { return err.name } })()`); got != "RangeError" {
		t.Errorf("a limit of 0: %s", got)
	}
	js.quiet()
}
