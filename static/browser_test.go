package static_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"

	"warren/internal/browsertest"
)

// texts is the page's messages, as JavaScript.
const texts = `[...document.querySelectorAll('#list pre.text')].map(e => e.textContent)`

// joined is what the page says it listens to, as JavaScript.
const joined = `[...document.querySelectorAll('#channels li')].map(e => (e.querySelector('span') ?? e).textContent).join()`

func inState(state string) string {
	return fmt.Sprintf(`document.querySelector('#status').dataset.state === %q`, state)
}

// TestPage runs the page in a real browser, each part in a tab of its own.
func TestPage(t *testing.T) {
	b := browsertest.New(t)
	for name, test := range map[string]func(*testing.T, *fake, *browsertest.Tab){
		"text is text":        textIsText,
		"binary":              binary,
		"sending":             sending,
		"long text folds":     longText,
		"list is bounded":     boundedList,
		"pause and clear":     pauseAndClear,
		"channel in address":  channelInAddress,
		"bad channels":        badChannels,
		"returns after a cut": returnsAfterCut,
		"backoff and jitter":  backoffAndJitter,
		"close codes":         closeCodes,
		"keyboard only":       keyboardOnly,
		"names for readers":   namesForReaders,
		"contrast":            contrast,
		"narrow and low":      narrowAndLow,
		"flood is not read":   floodIsNotRead,
		"several channels":    severalChannels,
		"gaps in place":       gapsInPlace,
		"json":                jsonValues,
		"figures":             figures,
	} {
		t.Run(name, func(t *testing.T) { test(t, newFake(t), b.Tab(t)) })
	}
}

// join writes into the channel field and presses the button beside it.
func join(tab *browsertest.Tab, channel string) {
	browsertest.Eval[string](tab, fmt.Sprintf(`document.querySelector('#channel').value = %q`, channel))
	tab.Do(chromedp.Click(chromedp.CSS("#join button")))
}

func quiet(t *testing.T, tab *browsertest.Tab) {
	t.Helper()
	if got := tab.Complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
}

func textIsText(t *testing.T, f *fake, tab *browsertest.Tab) {
	messages := []string{
		`<script>window.hacked = 1</script>`,
		`<img src=x onerror="window.hacked = 1">`,
		`<b>bold</b> &amp; "quoted"`,
		`</pre></li><a href="javascript:hacked=1">x</a>`,
		"two\nlines\tand a tab",
		"\u202egnirts \u05e9\u05dc\u05d5\u05dd 日本 👋🏽",
	}
	tab.Open(f.url + "/ws")
	c := f.page("")
	if c.path != "/ws" {
		t.Errorf("the page asks for %s, want /ws", c.path)
	}
	for _, m := range messages {
		c.say("text", m)
	}
	tab.Wait(fmt.Sprintf("document.querySelectorAll('#list pre.text').length === %d", len(messages)))
	got := browsertest.Eval[[]string](tab, texts)
	if lines(got...) != lines(messages...) {
		t.Errorf("shown:\n%q\nwant:\n%q", got, messages)
	}
	// A close reason comes from outside as well.
	reason := `<img src=x onerror="window.hacked = 1"><b>`
	c.end(websocket.StatusPolicyViolation, reason)
	tab.Wait(inState("refused"))
	for _, where := range []string{"#list .note.bad", "#detail"} {
		tab.Wait(fmt.Sprintf("document.querySelector(%q).textContent.includes(%q)", where, "(1008: "+reason+")"))
	}
	if n := browsertest.Eval[int](tab, `document.querySelectorAll(':is(#list, #detail) :is(script, img, b, a)').length`); n != 0 {
		t.Errorf("%d elements were made from text", n)
	}
	if browsertest.Eval[bool](tab, "'hacked' in window") {
		t.Error("a message ran as script")
	}
	quiet(t, tab)
}

func binary(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.page("")
	for _, b := range []string{"\x00\xff<b>Hello", "", strings.Repeat("x", 2000)} {
		c.say("base64", []byte(b))
	}
	tab.Wait(`document.querySelectorAll('#list .kind').length === 3`)
	kinds := browsertest.Eval[[]string](tab, `[...document.querySelectorAll('#list .kind')].map(e => e.textContent)`)
	want := []string{"Binary, 10 bytes", "Binary, 0 bytes", "Binary, 2,000 bytes, the first 64 shown"}
	if lines(kinds...) != lines(want...) {
		t.Errorf("shown %q, want %q", kinds, want)
	}
	hex := browsertest.Eval[string](tab, `document.querySelector('#list .hex').textContent`)
	if !strings.Contains(hex, "00 ff 3c 62 3e 48 65 6c 6c 6f") || !strings.HasSuffix(hex, "··<b>Hello") {
		t.Errorf("hex preview is %q", hex)
	}
	quiet(t, tab)
}

func sending(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.page("")
	tab.Wait(inState("open"))
	tab.Do(chromedp.Focus(chromedp.CSS("#message")))
	tab.Press("first")
	tab.Press(kb.Enter)
	c.publishes("", "first")
	tab.Press("a")
	tab.Press(kb.Enter, kb.ModifierShift)
	tab.Press("<b>é👋")
	tab.Do(chromedp.Click(chromedp.CSS("#send button")))
	c.publishes("", "a\n<b>é👋")
	tab.Wait(`document.querySelector('#message').value === '' && document.activeElement.id === 'message'`)

	// Without a connection the text stays.
	c.end(websocket.StatusPolicyViolation, "enough")
	tab.Wait(inState("refused"))
	tab.Press("kept")
	tab.Press(kb.Enter)
	tab.Wait(`document.querySelector('#send-error').textContent.includes('Not connected')`)
	if got := browsertest.Eval[string](tab, `document.querySelector('#message').value`); got != "kept" {
		t.Errorf("the box holds %q, want kept", got)
	}
	quiet(t, tab)
}

func longText(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.page("")
	long := strings.Repeat("word ", 2000)
	c.say("text", long)
	tab.Wait(`document.querySelector('#list button')?.textContent === 'Show all 10,000 characters'`)
	if n := browsertest.Eval[int](tab, `document.querySelector('#list pre').textContent.length`); n > 4100 {
		t.Errorf("%d characters shown at once", n)
	}
	tab.Do(chromedp.Click(chromedp.CSS("#list button")))
	tab.Wait(`document.querySelector('#list pre').textContent.length === 10000 && !document.querySelector('#list button')`)
	quiet(t, tab)
}

func boundedList(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.page("")
	for i := range 1200 {
		c.say("text", fmt.Sprint("message ", i))
	}
	tab.Wait(`document.querySelector('#list').lastElementChild?.textContent.endsWith('message 1199')`)
	if n := browsertest.Eval[int](tab, `document.querySelector('#list').childElementCount`); n != 500 {
		t.Errorf("%d messages in the list, want 500", n)
	}
	tab.Wait(`document.querySelector('#count').textContent === '1,200 received, at most 500 kept'`)
	// It follows the newest, until the reader looks further up.
	atEnd := `(l => l.scrollHeight - l.scrollTop - l.clientHeight < 32)(document.querySelector('#log'))`
	tab.Wait(atEnd)
	browsertest.Eval[int](tab, `document.querySelector('#log').scrollTop = 0`)
	c.say("text", "newest")
	tab.Wait(`!document.querySelector('#latest').hidden`)
	if browsertest.Eval[bool](tab, atEnd) {
		t.Error("a new message moved the reader away")
	}
	tab.Do(chromedp.Click(chromedp.CSS("#latest")))
	tab.Wait(atEnd + ` && document.querySelector('#latest').hidden`)
	quiet(t, tab)
}

func pauseAndClear(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.page("")
	c.say("text", "one")
	tab.Wait(texts + `.length === 1`)
	tab.Do(chromedp.Click(chromedp.CSS("#pause")))
	c.say("text", "two")
	tab.Wait(`document.querySelector('#count').textContent === '2 received, 1 waiting'`)
	if got := browsertest.Eval[[]string](tab, texts); len(got) != 1 {
		t.Errorf("paused, and shows %q", got)
	}
	tab.Do(chromedp.Click(chromedp.CSS("#pause")))
	tab.Wait(texts + `.join() === 'one,two'`)
	tab.Do(chromedp.Click(chromedp.CSS("#clear")))
	tab.Wait(`document.querySelector('#list').childElementCount === 0 && document.querySelector('#count').textContent === ''`)
	c.say("text", "three")
	tab.Wait(texts + `.join() === 'three'`)
	quiet(t, tab)
}

func gapsInPlace(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url + "/#one")
	c := f.page("one")
	c.say("text", "a")
	c.tell(frame{"type": "gap", "channel": "one"})
	c.say("text", "b")
	tab.Wait(texts + `.length === 2`)
	c.cut()
	c = f.welcome()
	c.channel, c.last = "one", 9
	c.subscribed(frame{"channel": "one", "since": "2-00000001"}, frame{"id": "9-00000001", "gap": true})
	c.say("text", "c")
	tab.Wait(`[...document.querySelectorAll('#list :is(pre, .gap p)')].map((e) => e.textContent).join('|') ===
		'a|Messages of one are missing here.|b|Messages of one that came meanwhile are missing here.|c'`)
	quiet(t, tab)
}

func jsonValues(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.page("")
	c.say("data", frame{"a": []int{1, 2}, "b": "<b>"})
	c.say("data", frame{"long": strings.Repeat("x", 100)})
	c.say("data", nil)
	tab.Wait(texts + `.length === 3`)
	want := []string{`{"a":[1,2],"b":"<b>"}`, "{\n  \"long\": \"" + strings.Repeat("x", 100) + "\"\n}", "null"}
	if got := browsertest.Eval[[]string](tab, texts); lines(got...) != lines(want...) {
		t.Errorf("shown:\n%q\nwant:\n%q", got, want)
	}
	quiet(t, tab)
}

func figures(t *testing.T, f *fake, tab *browsertest.Tab) {
	// A second is over when the test says so.
	tab.BeforeScripts(`{
		const real = setInterval;
		window.setInterval = (f, ms) => (ms === 1000 ? (window.second = f, 0) : real(f, ms));
	}`)
	tab.Open(f.url)
	c := f.page("")
	tab.Wait(inState("open"))
	tab.Do(chromedp.Focus(chromedp.CSS("#message")))
	// One whose ack comes first, one that comes back before its ack.
	tab.Press("one")
	tab.Press(kb.Enter)
	one := c.next()
	c.tell(frame{"type": "ack", "ref": one["ref"], "mid": "m1"})
	tab.Wait(`/^confirmed in [0-9.,]+ ms$/.test(document.querySelector('#latency').textContent)`)
	c.say("text", "one")
	both := `/^back in [0-9.,]+ ms, confirmed in [0-9.,]+ ms$/.test(document.querySelector('#latency').textContent)`
	tab.Wait(both)
	browsertest.Eval[string](tab, `document.querySelector('#latency').textContent = ''`)
	tab.Press("two")
	tab.Press(kb.Enter)
	two := c.next()
	c.say("text", "two")
	tab.Wait(texts + `.length === 2`)
	c.tell(frame{"type": "ack", "ref": two["ref"], "mid": "m2"})
	tab.Wait(both)
	for range 5 {
		c.say("text", "more")
	}
	tab.Wait(texts + `.length === 7`)
	browsertest.Eval[bool](tab, `second() ?? true`)
	got := browsertest.Eval[string](tab, `['#rate-in', '#rate-out'].map((s) => document.querySelector(s).textContent).join() + document.querySelector('#plot').ariaLabel`)
	if want := "7/s,2/sThe last minute: at most 7 received and 2 sent a second"; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
	browsertest.Eval[bool](tab, `second() ?? true`)
	points := browsertest.Eval[[]string](tab, `[...document.querySelectorAll('#plot polyline')].map((e) => e.getAttribute('points').split(' ').slice(-3).join(' '))`)
	if want := "57,19.0 58,1.0 59,19.0\n57,19.0 58,13.9 59,19.0"; lines(points...) != want {
		t.Errorf("plotted %q", points)
	}
	// A refusal puts the text back.
	tab.Press("never")
	tab.Press(kb.Enter)
	c.tell(frame{"type": "error", "ref": c.next()["ref"], "code": "publishing_off", "message": "publishing is off"})
	tab.Wait(`document.querySelector('#send-error').textContent === 'Not sent: publishing is off. Your text is back here.' && document.querySelector('#message').value === 'never'`)
	quiet(t, tab)
}

func floodIsNotRead(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.page("")
	tab.Wait(`document.querySelector('#log').ariaLive === 'polite'`)
	for range 100 {
		c.say("text", "much")
	}
	tab.Wait(`document.querySelector('#log').ariaLive === 'off' && document.querySelector('#announce').textContent !== ''`)
	quiet(t, tab)
}
