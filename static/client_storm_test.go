package static_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"testing"

	"warren/internal/browsertest"
)

// TestStorm cuts connections at random places. In the end each subscription has
// had every message once and in order, and each publish was published once.
func TestStorm(t *testing.T) {
	b := browsertest.New(t)
	for name, begin := range map[string]func(t *testing.T) *runtime{
		"chromium": func(t *testing.T) *runtime { return inBrowser(t, b, newFake(t)) },
		"node":     inNode,
	} {
		t.Run(name, func(t *testing.T) { storm(t, begin(t)) })
	}
}

const published = 400

func storm(t *testing.T, js *runtime) {
	m := newModel(t)
	server := httptest.NewUnstartedServer(m)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, tcpKey{}, c)
	}
	server.Start()
	defer server.Close()
	defer m.stop()

	js.do(`const since = '0-00000001';
		globalThis.heard = { '': [], a: [], b: [] };
		globalThis.iterated = [];
		globalThis.acks = {};
		globalThis.faults = [];
		globalThis.c = warren.connect(%q, {
			WebSocket: Sockets, random: () => 0, channels: ['a', 'b', ''].map((channel) => ({ channel, since })),
		});
		c.on('message', (m) => heard[m.root ? '' : m.channel].push(m.id));
		for (const type of ['gap', 'error']) c.on(type, (e) => faults.push(type + ' ' + (e.message ?? e.channel)));
		(async () => { for await (const m of c.subscription('')) iterated.push(m.id); })();
		globalThis.publishing = (async () => {
			for (let i = 0; i < %d; i += 20) {
				await Promise.all(Array.from({ length: 20 }, async (_, k) => {
					acks[i + k] = (await c.publish(k %% 2 ? 'a' : 'b', i + k)).mid;
				}));
			}
			globalThis.through = true;
		})();
		publishing.catch((err) => faults.push('publish ' + err.message));`, server.URL+"/ws", published)
	js.wait(`globalThis.through || faults.length > 0`)
	m.calm()

	m.mu.Lock()
	want := map[string][]string{"": {}, "a": {}, "b": {}}
	first := map[string]string{} // the mid of each publish
	for _, f := range m.log {
		id, channel := f["id"].(string), f["channel"].(string)
		want[channel] = append(want[channel], id)
		want[""] = append(want[""], id)
		if f["data"] == "by a program" {
			continue
		}
		name := fmt.Sprint(f["data"])
		if first[name] != "" {
			t.Errorf("%s was published twice", name)
		}
		first[name] = f["mid"].(string)
	}
	conns, sessions := m.conns, len(m.kept)
	m.mu.Unlock()
	if conns < 20 || sessions != 1 || len(first) != published {
		t.Errorf("%d connections with %d sessions published %d messages; want 20 or more, 1, %d", conns, sessions, len(first), published)
	}

	// The last cut may still be under way: then another message comes with the
	// next connection, behind all of these.
	js.wait(fmt.Sprintf(`(faults.length > 0 || heard[''].length >= %d && heard.a.length >= %d && heard.b.length >= %d && iterated.length >= %[1]d)`,
		len(want[""]), len(want["a"]), len(want["b"])))
	if faults := value[[]string](js, "faults"); len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	same := func(what string, got, want any) {
		t.Helper()
		a, errA := json.Marshal(got)
		b, errB := json.Marshal(want)
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s: got\n%s\nwant\n%s", what, a, b)
		}
	}
	for channel, ids := range want {
		same("channel "+channel, value[[]string](js, fmt.Sprintf("heard[%q]", channel))[:len(ids)], ids)
	}
	same("iterator", value[[]string](js, "iterated")[:len(want[""])], want[""])
	same("acks", value[map[string]string](js, "acks"), first)
	js.do(`c.close()`)
	t.Logf("%d connections", conns)
}
