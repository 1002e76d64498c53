package gateway

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
)

// look reads what came, and compares.
func (m *crowded) look(t testing.TB, p *person) {
	t.Helper()
	if p.checked == 0 {
		i := bytes.Index(p.a.got, []byte("\r\n\r\n"))
		if i < 0 {
			return
		}
		if p.enc == eventStream != bytes.HasPrefix(p.a.got, []byte("HTTP/1.1 200 ")) {
			t.Fatalf("answer: %.200q", p.a.got)
		}
		p.checked = i + 4
		if name, x := p.only(); x != nil && bytes.Contains(p.a.got[:i], []byte("Warren-Gap")) {
			p.subs[name] = &sub{}
		}
	}
	if p.enc == eventStream {
		for {
			event, _, whole := bytes.Cut(p.a.got[p.checked:], []byte("\n\n"))
			if !whole {
				return
			}
			p.checked += len(event) + 2
			m.event(t, p, string(event))
		}
	}
	for {
		b := p.a.got[p.checked:]
		h, n, err := frame.Decode(b)
		if err != nil || n > 0 && ws.CheckHeader(h, ws.StateClientSide) != nil {
			t.Fatalf("no frame: %.40q", b)
		}
		if n == 0 || len(b) < n+int(h.Length) {
			return
		}
		p.checked += n + int(h.Length)
		payload := b[n : n+int(h.Length)]
		switch h.OpCode {
		case ws.OpClose:
			p.left = true
			return
		case ws.OpText, ws.OpBinary:
			if p.enc == jsonFrames {
				m.object(t, p, payload)
				continue
			}
			var all []any
			if err := json.Unmarshal(payload, &all); err != nil {
				t.Fatal(err)
			}
			name, _ := p.only()
			m.message(t, p, name, uint64(all[0].(float64)))
		}
	}
}

// only is the subscription of who has one.
func (p *person) only() (string, *sub) {
	if p.enc != jsonFrames {
		for name, x := range p.subs {
			return name, x
		}
	}
	return "", nil
}

// event takes one of an event stream.
func (m *crowded) event(t testing.TB, p *person, event string) {
	t.Helper()
	name, x := p.only()
	var id ID
	kind, data := "", ""
	for _, line := range strings.Split(event, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "id":
			var ok bool
			if id, ok = ParseID(value); !ok {
				t.Fatalf("event %q", event)
			}
		case "event":
			kind = value
		case "data":
			data += value
		case "retry", "", ":":
		default:
			t.Fatalf("event %.100q", event)
		}
	}
	switch {
	case kind == "gap" && !x.begun:
		*x = sub{before: m.offset} // its place comes next
	case kind == "gap":
		x.gap = true
	case data != "":
		m.message(t, p, name, id.Offset)
		p.known[name] = append(p.known[name], id)
	case !id.IsZero():
		m.place(t, p, name, id)
		p.known[name] = append(p.known[name], id)
		if !x.exact && !x.begun {
			*x = sub{last: id.Offset, before: m.offset}
		}
		x.begun = true
	}
}

// object takes a frame of the JSON protocol.
func (m *crowded) object(t testing.TB, p *person, text []byte) {
	t.Helper()
	var o struct {
		Type, Channel, ID, Ref string
		Root, Gap              bool
	}
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v: %.100q", err, text)
	}
	id, _ := ParseID(o.ID)
	name := o.Channel
	if o.Root {
		name = ""
	}
	x := p.subs[name]
	switch o.Type {
	case "subscribed":
		if x != nil {
			t.Fatalf("subscribed twice to %q", name)
		}
		since, asked := ParseID(o.Ref)
		if !asked {
			since, p.since = p.since, ID{}
		}
		p.subs[name] = &sub{last: id.Offset, before: m.offset}
		if !since.IsZero() && !o.Gap {
			p.subs[name].before = 0
			if id != since {
				t.Fatalf("resumed behind %v, and not %v", id, since)
			}
			p.subs[name].exact = true
		}
		if !id.IsZero() {
			p.known[name] = append(p.known[name], id)
		}
	case "unsubscribed":
		delete(p.subs, name) // if it waited for what is to come, it has none
	case "gap":
		if x == nil {
			t.Fatalf("a gap of %q", name)
		}
		x.gap = true
	case "message":
		if x == nil {
			t.Fatalf("a message of %q", name)
		}
		m.message(t, p, name, id.Offset)
		p.known[name] = append(p.known[name], id)
	case "pong":
		if id.IsZero() {
			break
		}
		for name := range p.subs {
			m.place(t, p, name, id)
			p.known[name] = append(p.known[name], id)
		}
	case "welcome", "error":
	default:
		t.Fatalf("%s", text)
	}
}

// message is the next one of a subscription, or behind a gap.
func (m *crowded) message(t testing.TB, p *person, name string, offset uint64) {
	t.Helper()
	x, all := p.subs[name], m.delivered[name]
	if x.last == 0 && !x.begun && p.enc == eventStream {
		x.before = m.offset // it begins where no place is known
	}
	i, ok := slices.BinarySearch(all, offset)
	before := uint64(0)
	for i--; i >= 0 && before == 0; i-- {
		if !m.lost[all[i]] || p.enc != rawFrames && all[i] > x.before { // raw clients aren't told
			before = all[i]
		}
	}
	if before > x.last && x.last != 0 {
	}
	switch {
	case !ok:
		t.Fatalf("%d was never delivered to %q", offset, name)
	case x.last == 0 || x.gap && offset > x.last:
	case !x.exact && offset <= x.last: // it begins with its channel's clients, who may be behind
	case offset <= x.last:
		t.Fatalf("encoding %d, channel %q: %d again, behind %d", p.enc, name, offset, x.last)
	case before > x.last && !(m.skips && p.enc == rawFrames):
		t.Fatalf("encoding %d, channel %q: %d behind %d, without %d", p.enc, name, offset, x.last, before)
	}
	*x = sub{last: offset, exact: true, begun: true, before: x.before}
}

// place says that all up to id came.
func (m *crowded) place(t testing.TB, p *person, name string, id ID) {
	t.Helper()
	x := p.subs[name]
	for _, offset := range m.delivered[name] {
		if x.exact && offset > x.last && offset <= id.Offset && !x.gap && !(m.lost[offset] && offset <= x.before) {
			t.Fatalf("encoding %d, channel %q: all up to %v, without %d", p.enc, name, id, offset)
		}
	}
}
