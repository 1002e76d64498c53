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

func inState(state string) string {
	return fmt.Sprintf(`document.querySelector('#status').dataset.state === %q`, state)
}

// TestPage runs the page in a real browser, each part in a tab of its own.
func TestPage(t *testing.T) {
	b := browsertest.New(t)
	for name, test := range map[string]func(*testing.T, *fake, *browsertest.Tab){
		"text is text":         textIsText,
		"binary":               binary,
		"sending":              sending,
		"long text folds":      longText,
		"list is bounded":      boundedList,
		"pause and clear":      pauseAndClear,
		"channel in address":   channelInAddress,
		"bad channels":         badChannels,
		"returns after a cut":  returnsAfterCut,
		"backoff and jitter":   backoffAndJitter,
		"close codes":          closeCodes,
		"keyboard only":        keyboardOnly,
		"names for readers":    namesForReaders,
		"contrast":             contrast,
		"narrow and low":       narrowAndLow,
		"flood is not read":    floodIsNotRead,
		"old socket is silent": oldSocketIsSilent,
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
	c := f.accept()
	if c.path != "/ws" {
		t.Errorf("without a channel the page asks for %s, want /ws", c.path)
	}
	for _, m := range messages {
		c.send(websocket.MessageText, m)
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
	c := f.accept()
	c.send(websocket.MessageBinary, "\x00\xff<b>Hello")
	c.send(websocket.MessageBinary, "")
	c.send(websocket.MessageBinary, strings.Repeat("x", 2000))
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
	c := f.accept()
	tab.Wait(inState("open"))
	tab.Do(chromedp.Focus(chromedp.CSS("#message")))
	tab.Press("first")
	tab.Press(kb.Enter)
	if got := c.receive(); got != "first" {
		t.Errorf("received %q, want first", got)
	}
	tab.Press("a")
	tab.Press(kb.Enter, kb.ModifierShift)
	tab.Press("<b>é👋")
	tab.Do(chromedp.Click(chromedp.CSS("#send button")))
	if got := c.receive(); got != "a\n<b>é👋" {
		t.Errorf("received %q", got)
	}
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
	c := f.accept()
	long := strings.Repeat("word ", 2000)
	c.SetReadLimit(-1)
	c.send(websocket.MessageText, long)
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
	c := f.accept()
	for i := range 1200 {
		c.send(websocket.MessageText, fmt.Sprint("message ", i))
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
	c.send(websocket.MessageText, "newest")
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
	c := f.accept()
	c.send(websocket.MessageText, "one")
	tab.Wait(texts + `.length === 1`)
	tab.Do(chromedp.Click(chromedp.CSS("#pause")))
	c.send(websocket.MessageText, "two")
	tab.Wait(`document.querySelector('#count').textContent === '2 received, 1 waiting'`)
	if got := browsertest.Eval[[]string](tab, texts); len(got) != 1 {
		t.Errorf("paused, and shows %q", got)
	}
	tab.Do(chromedp.Click(chromedp.CSS("#pause")))
	tab.Wait(texts + `.join() === 'one,two'`)
	tab.Do(chromedp.Click(chromedp.CSS("#clear")))
	tab.Wait(`document.querySelector('#list').childElementCount === 0 && document.querySelector('#count').textContent === ''`)
	c.send(websocket.MessageText, "three")
	tab.Wait(texts + `.join() === 'three'`)
	quiet(t, tab)
}

func channelInAddress(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url + "/#a/b:c~d_e-1.x")
	first := f.accept()
	if first.path != "/ws/a/b:c~d_e-1.x" {
		t.Errorf("asked for %s", first.path)
	}
	tab.Wait(inState("open") + ` && document.querySelector('#channel').value === 'a/b:c~d_e-1.x' && document.title.startsWith('a/b')`)
	join(tab, " room ")
	if code := first.closed(); code != websocket.StatusNormalClosure {
		t.Errorf("the first connection is closed with %d, want 1000", code)
	}
	if c := f.accept(); c.path != "/ws/room" {
		t.Errorf("joined %s, want /ws/room", c.path)
	}
	tab.Wait(inState("open") + ` && location.hash === '#room'`)
	browsertest.Eval[bool](tab, `history.back() ?? true`)
	if c := f.accept(); c.path != first.path {
		t.Errorf("back leads to %s, want %s", c.path, first.path)
	}
	tab.Wait(inState("open"))
	join(tab, "")
	if c := f.accept(); c.path != "/ws" {
		t.Errorf("left empty, the page asks for %s, want /ws", c.path)
	}
	tab.Wait(`location.hash === '' && !location.href.includes('#')`)
	quiet(t, tab)
}

func badChannels(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url + "/#ok")
	f.accept()
	tab.Wait(inState("open"))
	for _, c := range []struct{ name, want string }{
		{"a b", "A space can’t"},
		{"größe", "“ö” can’t"},
		{"a👋", "“👋” can’t"},
		{"a?b", "“?” can’t"},
		{"a%2fb", "“%” can’t"},
		{"/a", "begin or end"},
		{"a/", "begin or end"},
		{"a//b", "//"},
		{"a/../b", "Browsers can’t"},
		{".", "Browsers can’t"},
		{strings.Repeat("x", 201), "at most 200 characters; this has 201"},
	} {
		join(tab, c.name)
		tab.Wait(fmt.Sprintf(`document.querySelector('#channel-error').textContent.includes(%q)
			&& document.querySelector('#channel').matches('[aria-invalid=true]:focus')`, c.want))
	}
	if hash := browsertest.Eval[string](tab, "location.hash"); hash != "#ok" {
		t.Errorf("the address moved to %s", hash)
	}
	// A bad link doesn't connect at all.
	browsertest.Eval[bool](tab, `(location.hash = '#no good') !== ''`)
	tab.Wait(inState("off") + ` && document.querySelector('#channel-error').textContent.includes('A space')`)
	select {
	case got := <-f.conns:
		t.Errorf("the page connected to %s", got.path)
	default:
	}
	join(tab, strings.Repeat("x", 200))
	f.accept()
	tab.Wait(inState("open") + ` && document.querySelector('#channel-error').textContent === ''`)
	quiet(t, tab)
}

func oldSocketIsSilent(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url + "/#one")
	old := f.accept()
	tab.Wait(inState("open"))
	join(tab, "two")
	next := f.accept()
	// The page has asked the old one to close; until it answers it may still send.
	old.send(websocket.MessageText, "late")
	old.closed()
	next.send(websocket.MessageText, "current")
	tab.Wait(texts + `.includes('current')`)
	if got := browsertest.Eval[[]string](tab, texts); lines(got...) != "current" {
		t.Errorf("the page shows %q, want only the message of its channel", got)
	}
	tab.Wait(inState("open"))
	quiet(t, tab)
}

func floodIsNotRead(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.accept()
	tab.Wait(`document.querySelector('#log').ariaLive === 'polite'`)
	for range 100 {
		c.send(websocket.MessageText, "much")
	}
	tab.Wait(`document.querySelector('#log').ariaLive === 'off' && document.querySelector('#announce').textContent !== ''`)
	quiet(t, tab)
}
