package static_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"warren/internal/browsertest"
)

func keyboardOnly(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url)
	c := f.page("")
	tab.Wait(inState("open"))
	// Each stop must show that it has the focus.
	next := func(want string) {
		t.Helper()
		tab.Press(kb.Tab)
		tab.Wait(fmt.Sprintf(`document.activeElement.matches(%q)`, want))
		if !browsertest.Eval[bool](tab, `(e => [e, e.closest('.field')].some(e => e && getComputedStyle(e).outlineStyle === 'solid'
			&& parseFloat(getComputedStyle(e).outlineWidth) >= 2))(document.activeElement)`) {
			t.Errorf("%s doesn't show the focus", want)
		}
	}
	next("#channel")
	tab.Press("room")
	tab.Press(kb.Enter)
	c.expect(frame{"type": "unsubscribe", "channel": ""})
	c.channel = "room"
	c.subscribed(frame{"channel": "room", "history": 50.}, frame{"id": "0-00000001"})
	tab.Wait(joined + ` === 'room'`)
	for _, stop := range []string{"#join button[type=submit]", "#toggle", "#channels button", "#pause", "#clear", "#log", "#message"} {
		next(stop)
	}
	tab.Press("hello")
	tab.Press(kb.Enter)
	c.publishes("room", "hello")
	next("#send button")
	// Back to the log, which scrolls by keys.
	for range 60 {
		c.say("text", "line")
	}
	tab.Wait(texts + `.length === 60`)
	tab.Press(kb.Tab, kb.ModifierShift)
	tab.Press(kb.Tab, kb.ModifierShift)
	tab.Wait(`document.activeElement.id === 'log'`)
	tab.Press(kb.Home)
	tab.Wait(`document.querySelector('#log').scrollTop === 0`)
	quiet(t, tab)
}

// What a screen reader is told there is.
func namesForReaders(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url + "/#a,b")
	c := f.page("a")
	c.subscribed(frame{"channel": "b", "history": 50.}, frame{"id": "0-00000001"})
	tab.Wait(inState("open"))
	tree, err := chromedp.Call(tab.Context, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		role, name := strings.Trim(string(n.Role.Value), `"`), ""
		if n.Name != nil {
			name = strings.Trim(string(n.Name.Value), `"`)
		}
		found[role+" "+name] = true
		switch role {
		case "button", "textbox", "log", "heading", "combobox", "image":
			if name == "" {
				t.Errorf("a %s has no name", role)
			}
		}
	}
	for _, want := range []string{
		"textbox Channels", "list Joined", "button Leave a", "button Leave b", "combobox To", "image No messages in the last minute", "textbox Message", "log Messages", "button Join", "button Disconnect", "button Send",
		"button Pause", "button Clear", "heading Warren", "main ",
	} {
		if !found[want] {
			t.Errorf("there is no %q among %v", want, found)
		}
	}
	status := browsertest.Eval[string](tab, `[...document.querySelectorAll('[role=status]')].map(e => e.textContent).join('')`)
	if status != "Connected" {
		t.Errorf("the status says %q", status)
	}
}

// lowContrast lists texts whose colours are closer than WCAG 2's 4.5 to 1, by
// its formulas for relative luminance and contrast.
const lowContrast = `(() => {
	const parse = (c) => { const v = c.match(/[\d.]+/g).map(Number); return v.length < 4 ? [...v, 1] : v; };
	const light = (c) => c.slice(0, 3).map((v) => v / 255)
		.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c[3] === 1) return c;
		}
		return [255, 255, 255];
	};
	const low = [];
	for (const e of document.querySelectorAll('body *')) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
		if (!own || !e.checkVisibility() || e.closest('.unseen, script')) continue;
		const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (!(ratio >= 4.5)) low.push(e.tagName + ' ' + e.textContent.trim().slice(0, 40) + ': ' + ratio.toFixed(2));
	}
	return low;
})()`

func contrast(t *testing.T, f *fake, tab *browsertest.Tab) {
	grounds := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		tab.Prefer("prefers-color-scheme", scheme)
		tab.Open("about:blank")
		tab.Open(f.url + "/#orders/eu,orders/us")
		c := f.page("orders/eu")
		c.subscribed(frame{"channel": "orders/us", "history": 50.}, frame{"id": "0-00000001"})
		tab.Wait(inState("open"))
		picture := func(name string) {
			browsertest.SavePNG(t, scheme+"-"+name+".png", tab.Screenshot())
			if low := browsertest.Eval[[]string](tab, lowContrast); len(low) > 0 {
				t.Errorf("%s, %s: hard to read: %q", scheme, name, low)
			}
		}
		picture("empty")
		c.say("data", frame{"order": 4711, "state": "packed", "lines": 3})
		for _, m := range []string{
			"Good morning from the second window",
			"<b>markup</b> stays as it was sent", "שלום, 日本, 👋",
		} {
			c.say("text", m)
		}
		c.say("base64", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\x00\x00\x01\x00\x08\x06"))
		c.tell(frame{"type": "gap", "channel": "orders/eu"})
		c.say("text", strings.Repeat("A longer message wraps inside its column. ", 6))
		tab.Wait(`document.querySelectorAll('#list pre').length === 6`)
		picture("messages")
		c.end(1013, "slow consumer")
		tab.Wait(inState("waiting"))
		picture("waiting")
		tab.Do(chromedp.Click(chromedp.CSS("#now")))
		f.welcome().end(1008, "token expired")
		tab.Wait(inState("refused"))
		join(tab, "no good")
		picture("refused")
		grounds[scheme] = browsertest.Eval[string](tab, `getComputedStyle(document.body).backgroundColor`)
	}
	if grounds["light"] == grounds["dark"] {
		t.Errorf("light and dark look the same: %v", grounds)
	}
	quiet(t, tab)
}

func narrowAndLow(t *testing.T, f *fake, tab *browsertest.Tab) {
	for _, size := range [][2]int64{{320, 640}, {390, 844}, {800, 360}, {1280, 720}} {
		tab.Do(chromedp.EmulateViewport(size[0], size[1]))
		tab.Open("about:blank")
		tab.Open(f.url + "/#a-channel,another-with-a-name-that-is-long/and/longer")
		c := f.page("a-channel")
		c.subscribed(frame{"channel": "another-with-a-name-that-is-long/and/longer", "history": 50.}, frame{"id": "0-00000001"})
		tab.Wait(inState("open"))
		c.say("text", strings.Repeat("unbroken", 40))
		c.say("base64", []byte(strings.Repeat("binary", 20)))
		tab.Wait(`document.querySelector('#list .hex') !== null`)
		browsertest.SavePNG(t, fmt.Sprintf("%dx%d.png", size[0], size[1]), tab.Screenshot())
		if over := browsertest.Eval[int](tab, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%v: the page is %d px too wide", size, over)
		}
		if over := browsertest.Eval[int](tab, `(l => l.scrollWidth - l.clientWidth)(document.querySelector('#log'))`); over > 0 {
			t.Errorf("%v: messages are %d px too wide", size, over)
		}
		if h := browsertest.Eval[float64](tab, `document.querySelector('#log').clientHeight`); h < 120 {
			t.Errorf("%v: the messages have %v px", size, h)
		}
	}
	quiet(t, tab)
}
