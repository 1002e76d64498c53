package haproxy_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"warren/gateway"
	"warren/haproxy/haproxytest"
	"warren/internal/browsertest"
	"warren/static"
)

// newGateway starts a real node, with the default configuration but for the
// PROXY protocol, if the form needs it.
func newGateway(t *testing.T, form haproxytest.Form) *gateway.Gateway {
	t.Helper()
	g, err := gateway.New(gateway.Options{
		Page: static.Page("/ws"), Script: static.Module(),
		Proxy: gateway.ProxyOptions{
			Protocol: form == haproxytest.Production || form == haproxytest.TCP,
			Trusted:  []string{"127.0.0.0/8", "::1/128"},
		},
	}, gateway.NewEmbedded())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- g.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return g
}

// A browser opens the page and its WebSocket, by each of the files. By
// haproxy.cfg both go over HTTP/2 (RFC 8441), unless its comment is taken at its
// word, and what one node refuses, the other serves.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := browsertest.New(t)
	for _, tt := range []struct {
		form     haproxytest.Form
		variant  string
		edit     func(string) string
		path     string
		protocol string // of the WebSockets, if HAProxy has them in its log
	}{
		{haproxytest.Production, "", nil, "/", "HTTP/2.0"},
		{haproxytest.Production, ", WebSockets apart", withSocketsApart, "/", "HTTP/1.1"},
		{haproxytest.TCP, "", nil, "/", ""},
		{haproxytest.Tutorial, "", nil, "/ws", ""},
	} {
		form, path := tt.form, tt.path
		t.Run(form.String()+tt.variant, func(t *testing.T) {
			g := newGateway(t, form)
			refuses := newNode(t, "one", form)
			refuses.page = static.Page("/ws")
			refuses.ready.Store(form == haproxytest.Production) // the other forms don't look into answers
			refuses.full.Store(true)
			o := haproxytest.Options{Form: form, Edit: tt.edit, Nodes: [2]string{refuses.addr(), g.Addr().String()}}
			if form == haproxytest.Tutorial {
				o.Nodes[0] = "127.0.0.1:9" // its checks see nothing but this
			}
			p := haproxytest.Run(t, o)

			one, two := b.Tab(t), b.Tab(t)
			site := strings.Replace(p.Site(path), "127.0.0.1", "localhost", 1)
			for _, tab := range []*browsertest.Tab{one, two} {
				_, err := chromedp.Call(tab.Context, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
				if err != nil {
					t.Fatal(err)
				}
				tab.Open(site + "#room")
				tab.Wait(`document.querySelector('#status').dataset.state === 'open'`)
			}
			for from, to := range map[*browsertest.Tab]*browsertest.Tab{one: two, two: one} {
				text := fmt.Sprintf("good morning %p", from)
				from.Do(chromedp.Focus(chromedp.CSS("#message")))
				from.Press(text + kb.Enter)
				to.Wait(fmt.Sprintf(`[...document.querySelectorAll('#list pre')].some(e => e.textContent === %q)`, text))
			}
			for _, tab := range []*browsertest.Tab{one, two} {
				if all := tab.Complaints(); len(all) > 0 {
					t.Errorf("the page complains: %q", all)
				}
				tab.Open("about:blank") // ends its tunnel, and so has it logged
			}
			if form == haproxytest.Production {
				over(t, p, tt.protocol)
				if refuses.refusals.Load() == 0 {
					t.Error("node one was never asked for a WebSocket: this shows no retry")
				}
			}
		})
	}
}

// withSocketsApart takes the line that keeps WebSockets out of HTTP/2 out of its
// comment.
func withSocketsApart(text string) string {
	return strings.Replace(text, "    # h2-workaround", "    h2-workaround", 1)
}

// over checks that HAProxy has two WebSockets in its log that came so.
func over(t *testing.T, p *haproxytest.Proxy, protocol string) {
	t.Helper()
	var lines []string
	eventually(t, "two WebSockets in the log", func() bool {
		lines = nil
		for _, line := range tunnelLines(p) {
			if strings.Contains(line, "/ws?session=") {
				lines = append(lines, line)
			}
		}
		return len(lines) == 2
	})
	for _, line := range lines {
		t.Log(line)
		if !strings.HasSuffix(line, " "+protocol+`"`) || !strings.Contains(line, " 101 ") {
			t.Errorf("logged %q", line)
		}
	}
}
