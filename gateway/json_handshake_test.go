package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"warren/gateway"
)

// Only who offers the protocol by its exact name gets it.
func TestJSONOffered(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{Node: "node \"1\""}, r)
	to := <-r.to
	for _, c := range []struct {
		fields []string
		chosen bool
	}{
		{nil, false},
		{[]string{offerJSON}, true},
		{[]string{"sec-websocket-protocol: \twarren.v1.json "}, true},
		{[]string{"Sec-WebSocket-Protocol: mqtt, warren.v1.json,x"}, true},
		{[]string{"Sec-WebSocket-Protocol: mqtt", offerJSON}, true},
		{[]string{"Sec-WebSocket-Protocol: warren.v1"}, false},
		{[]string{"Sec-WebSocket-Protocol: warren.v1.json2"}, false},
		{[]string{"Sec-WebSocket-Protocol: Warren.V1.JSON"}, false},
		{[]string{"Sec-WebSocket-Protocol: warren.v2.json, mqtt"}, false},
	} {
		conn := connectRaw(t, n)
		conn.put(upgradeHead("/ws/room", c.fields...))
		resp, _ := conn.response()
		want := []string(nil)
		if c.chosen {
			want = []string{"warren.v1.json"}
		}
		if got := resp.Header.Values("Sec-WebSocket-Protocol"); resp.StatusCode != 101 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q: %s, protocol %q", c.fields, resp.Status, got)
		}
		if c.chosen {
			first, welcome := conn.frame()
			if first != rawFin|rawText || !strings.HasPrefix(welcome, `{"type":"welcome","connection":"`) || !strings.HasSuffix(welcome, `","node":"node \"1\""}`) {
				t.Fatalf("%q: frame %#x %s", c.fields, first, welcome)
			}
			conn.put(masked(rawFin|rawText, `{"type":"unsubscribe","channel":"room"}`))
			if first, s := conn.frame(); first != rawFin|rawText || !strings.HasPrefix(s, `{"type":"subscribed","channel":"room","id":"`) {
				t.Fatalf("frame %#x %s", first, s)
			}
			conn.expectFrame(rawFin|rawText, `{"type":"unsubscribed","channel":"room"}`)
			continue
		}
		to.Deliver(gateway.Message{Channel: "room", Payload: []byte("raw"), Text: true})
		conn.expectFrame(rawFin|rawText, "raw")
	}
}

// What the path and the query say, they say to a client of JSON as well.
func TestJSONPath(t *testing.T) {
	r := newRecorder()
	n := start(t, keeping(100), r)
	to := <-r.to
	for i := range 4 {
		to.Deliver(streamed("a", i))
	}
	root := openJSON(t, n, "/ws?history=3&since="+streamID(0).String())
	root.quiet() // it subscribes to nothing
	to.Deliver(streamed("b", 4))
	root.quiet()
	root.ask(`{"type":"subscribe","channel":"","history":2,"ref":1}`)
	root.says(strings.Replace(subscribed("", streamID(2), false), "}", `,"ref":1}`, 1), heardAtRoot("a", 3), heardAtRoot("b", 4))

	a := openJSON(t, n, "/ws/a?history=2")
	a.says(subscribed("a", streamID(1), false), heard("a", 2), heard("a", 3))
	b := openJSON(t, n, "/ws/a?since="+streamID(2).String())
	b.says(subscribed("a", streamID(2), false), heard("a", 3))
	lost := openJSON(t, n, "/ws/a?history=1&since="+streamID(0).String())
	lost.says(subscribed("a", streamID(2), true), heard("a", 3))
	to.Deliver(streamed("a", 5))
	a.says(heard("a", 5))
	b.says(heard("a", 5))
	lost.says(heard("a", 5))
	root.says(heardAtRoot("a", 5))

	for query, status := range map[string]int{
		"/ws?session=" + strings.Repeat("a", 15):  400,
		"/ws?session=" + strings.Repeat("a", 65):  400,
		"/ws?session=aaaaaaaaaaaaaaa%20":          400,
		"/ws/a?session=":                          400,
		"/ws/a?session=0123456789abcdef&session=": 400,
		"/ws/a?since=1":                           400,
		"/ws/a?history=x":                         400,
		"/ws/":                                    404,
		"/elsewhere":                              404,
		"/ws?session=" + strings.Repeat("-_", 32): 101,
	} {
		conn := connectRaw(t, n)
		conn.put(upgradeHead(query, offerJSON))
		if status == 101 {
			conn.expectOpen()
			continue
		}
		conn.expectRefusal(status)
	}
	raw := connectRaw(t, n) // it means nothing to raw clients
	raw.put(upgradeHead("/ws?session=short"))
	raw.expectOpen()
}

// Commands may follow the request at once.
func TestJSONAtOnce(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{}, r)
	c := connectRaw(t, n)
	c.put(upgradeHead("/ws?session=0123456789abcdef", offerJSON),
		masked(rawFin|rawText, `{"type":"ping","ref":"a"}`),
		masked(rawText, `{"type":"publish","channel":"x/y",`), masked(rawFin, `"data": [1] ,"id":"i"}`))
	c.expectOpen()
	for _, begin := range []string{`{"type":"welcome",`, `{"type":"pong",`} {
		if first, s := c.frame(); first != rawFin|rawText || !strings.HasPrefix(s, begin) {
			t.Fatalf("frame %#x %s", first, s)
		}
	}
	m := r.wait(within(t), 1)[0]
	if m.Channel != "x/y" || string(m.Payload) != "[1]" || !m.Text || m.ClientID != "i" || m.Session != "0123456789abcdef" || m.User != "" || m.Client == 0 || m.Settled != nil {
		t.Errorf("published %+v", m)
	}
}
