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

func channelInAddress(t *testing.T, f *fake, tab *browsertest.Tab) {
	const strange = "a/b:c~d_e-1.x"
	tab.Open(f.url + "/#" + strange)
	c := f.page(strange)
	tab.Wait(inState("open") + ` && document.title.startsWith('a/b') && ` + joined + ` === 'a/b:c~d_e-1.x'`)
	join(tab, " room , ")
	tab.Wait(`document.querySelector('#channel-error').textContent.includes('commas')`)
	join(tab, " room, "+strange+" ,other")
	c.subscribed(frame{"channel": "room", "history": 50.}, frame{"id": "1-00000001"})
	c.subscribed(frame{"channel": "other", "history": 50.}, frame{"id": "1-00000001"})
	tab.Wait(joined + ` === 'a/b:c~d_e-1.x,room,other' && location.hash === '#a/b:c~d_e-1.x,room,other'`)
	browsertest.Eval[bool](tab, `history.back() ?? true`)
	c.expect(frame{"type": "unsubscribe", "channel": "room"})
	c.expect(frame{"type": "unsubscribe", "channel": "other"})
	tab.Wait(joined + ` === 'a/b:c~d_e-1.x'`)
	browsertest.Eval[bool](tab, `history.forward() ?? true`)
	c.subscribed(frame{"channel": "room", "history": 50.}, frame{"id": "1-00000001"})
	c.subscribed(frame{"channel": "other", "history": 50.}, frame{"id": "1-00000001"})
	// One can be left, with the focus not lost.
	tab.Do(chromedp.Click(chromedp.CSS(`[aria-label="Leave room"]`)))
	c.expect(frame{"type": "unsubscribe", "channel": "room"})
	tab.Wait(joined + ` === 'a/b:c~d_e-1.x,other' && location.hash === '#a/b:c~d_e-1.x,other' && document.activeElement.ariaLabel === 'Leave other'`)
	// Left empty, the field means root, which hears the others, too.
	join(tab, "")
	c.expect(frame{"type": "unsubscribe", "channel": strange})
	c.expect(frame{"type": "unsubscribe", "channel": "other"})
	c.subscribed(frame{"channel": "", "history": 50.}, frame{"id": "1-00000001"})
	tab.Wait(`location.hash === '' && !location.href.includes('#') && ` + joined + ` === 'All channels'`)
	join(tab, "room")
	c.expect(frame{"type": "unsubscribe", "channel": ""})
	c.subscribed(frame{"channel": "room", "history": 50.}, frame{"id": "1-00000001"})
	// And so does leaving the last.
	tab.Do(chromedp.Click(chromedp.CSS(`[aria-label="Leave room"]`)))
	c.expect(frame{"type": "unsubscribe", "channel": "room"})
	c.subscribed(frame{"channel": "", "history": 50.}, frame{"id": "1-00000001"})
	// The gateway may refuse one.
	join(tab, "secret")
	c.expect(frame{"type": "unsubscribe", "channel": ""})
	ref := c.expect(frame{"type": "subscribe", "channel": "secret", "history": 50.})
	c.tell(frame{"type": "error", "code": "bad_channel", "message": "not <b>you</b>", "ref": ref})
	tab.Wait(joined + ` === '' && document.querySelector('#list .note.bad').textContent.includes('channel secret: not <b>you</b> (bad_channel)')`)
	quiet(t, tab)
}

func badChannels(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url + "/#ok")
	c := f.page("ok")
	tab.Wait(inState("open"))
	for _, bad := range []struct{ name, want string }{
		{"a b", "A space can’t"},
		{"größe", "“ö” can’t"},
		{"a👋", "“👋” can’t"},
		{"a?b", "“?” can’t"},
		{"a%2fb", "“%” can’t"},
		{"/a", "begin or end"},
		{"a/", "begin or end"},
		{"a//b", "//"},
		{"ok, b c", "A space can’t"},
		{strings.Repeat("x", 201), "at most 200 characters; this has 201"},
	} {
		join(tab, bad.name)
		tab.Wait(fmt.Sprintf(`document.querySelector('#channel-error').textContent.includes(%q)
			&& document.querySelector('#channel').matches('[aria-invalid=true]:focus')`, bad.want))
	}
	if hash := browsertest.Eval[string](tab, "location.hash"); hash != "#ok" {
		t.Errorf("the address moved to %s", hash)
	}
	// Nor does the page stay connected for a bad link.
	browsertest.Eval[bool](tab, `(location.hash = '#no good') !== ''`)
	tab.Wait(inState("off") + ` && document.querySelector('#channel-error').textContent.includes('A space')`)
	if code := c.closed(); code != websocket.StatusNormalClosure {
		t.Errorf("closed with %d", code)
	}
	select {
	case got := <-f.conns:
		t.Errorf("the page connected to %s", got.path)
	default:
	}
	join(tab, strings.Repeat("x", 200))
	f.page(strings.Repeat("x", 200))
	tab.Wait(inState("open") + ` && document.querySelector('#channel-error').textContent === ''`)
	quiet(t, tab)
}

// What was left says nothing more, and messages tell where they come from only
// if that is a question.
func severalChannels(t *testing.T, f *fake, tab *browsertest.Tab) {
	tab.Open(f.url + "/#one,refused")
	c := f.page("one")
	// Connected it is once all is settled.
	ref := c.expect(frame{"type": "subscribe", "channel": "refused", "history": 50.})
	tab.Wait(inState("connecting"))
	c.tell(frame{"type": "error", "code": "bad_channel", "message": "no", "ref": ref})
	tab.Wait(inState("open") + ` && document.querySelector('#list .note.bad') && document.querySelector('#channels').childElementCount === 1`)
	c.say("text", "alone")
	tab.Wait(texts + `.join() === 'alone' && !document.querySelector('#list .channel') && document.querySelector('#target').hidden`)
	join(tab, "two")
	c.subscribed(frame{"channel": "two", "history": 50.}, frame{"id": "0-00000001"})
	c.say("text", "first")
	two := &conn{Conn: c.Conn, t: t, channel: "two"}
	two.say("text", "second")
	tab.Wait(`[...document.querySelectorAll('#list .channel')].map((e) => e.textContent + ' ' + e.nextElementSibling.textContent).join() === 'one first,two second'`)
	// What is sent goes to one of them.
	tab.Wait(`!document.querySelector('#target').hidden`)
	browsertest.Eval[string](tab, `document.querySelector('#to').value = 'two'`)
	tab.Do(chromedp.Focus(chromedp.CSS("#message")))
	tab.Press("to two")
	tab.Press(kb.Enter)
	c.publishes("two", "to two")
	tab.Do(chromedp.Click(chromedp.CSS(`[aria-label="Leave one"]`)))
	c.expect(frame{"type": "unsubscribe", "channel": "one"})
	c.say("text", "late")
	two.say("text", "current")
	tab.Wait(texts + `.includes('current')`)
	if got := browsertest.Eval[[]string](tab, texts); lines(got...) != "alone\nfirst\nsecond\ncurrent" {
		t.Errorf("the page shows %q", got)
	}
	// Root says of each message whose it is.
	join(tab, "")
	c.expect(frame{"type": "unsubscribe", "channel": "two"})
	c.subscribed(frame{"channel": "", "history": 50.}, frame{"id": "0-00000001"})
	c.tell(frame{"type": "message", "channel": "far/away", "root": true, "id": "99-00000001", "at": 0, "text": "by root"})
	tab.Wait(`document.querySelector('#list li:last-child').textContent.endsWith('far/awayby root')`)
	// That one is of 1970: seconds are enough.
	tab.Wait(`/^..:..:..$/.test(document.querySelector('#list li:last-child time').textContent) && /[.]...$/.test(document.querySelector('#list time').textContent)`)
	quiet(t, tab)
}
