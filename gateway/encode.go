package gateway

import (
	"slices"

	"github.com/gobwas/ws"

	"warren/gateway/eventstream"
	"warren/gateway/frame"
	"warren/gateway/framelog"
	"warren/gateway/internal/place"
	"warren/gateway/jsonv1"
)

// scratchKept is the most that is kept of a buffer that messages are encoded in.
const scratchKept = 64 << 10

// appendEncodedLocked appends m to a log that isn't of raw frames.
func (g *Gateway) appendEncodedLocked(e *edition, m *Message, mark *framelog.Mark) {
	b := g.encode(g.encoded[:0], e, m.Text, m.Payload, mark)
	e.log.Append(len(b), func(dst []byte) []byte { return append(dst, b...) })
	if g.encoded = b; cap(b) > scratchKept {
		g.encoded = nil
	}
}

// appendGapLocked says in e's log that messages are missing behind from.
func (g *Gateway) appendGapLocked(e *edition, from ID) {
	b := e.appendGap(nil, from, ID{})
	e.log.Append(len(b), func(dst []byte) []byte { return append(dst, b...) })
}

// encode appends a message as e's clients get it. What becomes too large by that
// is a gap.
func (g *Gateway) encode(dst []byte, e *edition, text bool, payload []byte, mark *framelog.Mark) []byte {
	begin := len(dst)
	dst = e.appendMessage(dst, text, payload, mark)
	if len(dst)-begin > g.o.Clients.MaxLag/2 {
		g.count.oversize.Add(1)
		dst = e.appendGap(dst[:begin], ID{}, ID{mark.Offset, mark.Check})
	}
	return dst
}

func (e *edition) appendMessage(dst []byte, text bool, payload []byte, mark *framelog.Mark) []byte {
	switch {
	case e.enc == eventStream && text:
		return eventstream.AppendText(dst, mark.Offset, mark.Check, payload)
	case e.enc == eventStream:
		return eventstream.AppendBinary(dst, mark.Offset, mark.Check, payload)
	}
	m := jsonv1.Message{
		Channel: e.channel.name, Offset: mark.Offset, Check: mark.Check,
		Publisher: mark.Name, Seq: mark.Seq, At: mark.Time,
		Text: text, Payload: payload,
	}
	if m.Channel == "" {
		m.Channel, m.Root = mark.Topic, true
	}
	begin := len(dst)
	return closeText(jsonv1.AppendMessage(openText(dst), &m), begin)
}

// appendGap encodes a gap.
func (e *edition) appendGap(dst []byte, from, to ID) []byte {
	if e.enc == eventStream {
		return eventstream.AppendGap(dst, place.ID(from), place.ID(to))
	}
	begin, name := len(dst), e.channel.name
	return closeText(jsonv1.AppendGap(openText(dst), name, name == "", place.ID(from), place.ID(to)), begin)
}

// textHeader is the size of most text frames' headers.
const textHeader = 4

// openText leaves room for a frame's header; closeText puts it there.
func openText(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

// closeText makes a text frame of what was appended behind openText at begin.
func closeText(dst []byte, begin int) []byte {
	n := len(dst) - begin - textHeader
	var room [frame.MaxHeader]byte
	header := frame.AppendHeader(room[:0], ws.OpText, n)
	if more := len(header) - textHeader; more != 0 {
		dst = slices.Grow(dst, max(more, 0))[:len(dst)+more]
		copy(dst[begin+len(header):], dst[begin+textHeader:begin+textHeader+n])
	}
	copy(dst[begin:], header)
	return dst
}

// encodeRoom is for the last of the messages that fill a chunk.
const encodeRoom = 1 << 10

// encodePast encodes what comes next of the past for x, about a chunk; nothing
// at its end.
func (s *shard) encodePast(x *seat) []byte {
	r, e := x.behind, x.audience.edition
	b := make([]byte, 0, min(s.g.chunk, 4*int(r.remains()))+encodeRoom)
	for len(b) < s.g.chunk && r.past.Pos() < r.pastEnd {
		f, mark, ok := r.past.Frame()
		if !ok {
			break
		}
		h, n, _ := frame.Decode(f)
		b = s.g.encode(b, e, h.OpCode == ws.OpText, f[n:], mark)
		r.past.Advance(len(f))
	}
	return b
}
