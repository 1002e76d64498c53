package gateway

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gobwas/ws"
)

// ample is more of memory.inbound than a test client needs.
const ample = 64 << 20

// runHeld feeds the stream while the exchange is busy now and then, as moods has it:
// two bits a chunk, over and over. When it no
// longer is, everything has been published, in order; unless the client
// vanished before, or there was no memory for it.
func (r *inputRig) runHeld(t testing.TB, in inputCase, moods uint8, memory int64, vanish bool) {
	t.Helper()
	r.g.o.WebSocket.MaxMessageSize = in.most
	defer func(was int64) { r.g.o.Memory.Inbound = was }(r.g.o.Memory.Inbound)
	events, _ := modelInput(in.stream, in.most)
	var messages, pings []inputEvent
	var end *inputEvent
	for _, e := range events {
		switch e.kind {
		case inputMessage:
			messages = append(messages, e)
		case inputPing:
			pings = append(pings, e)
		case inputEnd:
			end = &e
		}
	}
	r.connect(t, nil)
	r.g.o.Memory.Inbound = memory
	left := in.stream
	for i := 0; len(left) > 0; i++ {
		size := 1 << 10
		if i < len(in.cuts) {
			size = in.cuts[i]
		}
		switch moods >> (i % 4 * 2) & 3 {
		case 0: // as before
		case 1:
			r.tape.room = 0
		case 2:
			r.tape.room = 1 // the shard isn't told yet
		case 3:
			r.ready(t, 3)
		}
		n := r.send(t, left[:min(size, len(left))])
		if n == 0 {
			r.ready(t, endless) // it is not read from: only that can help
		}
		left = left[n:]
		if r.ended && memory == ample && end != nil && end.bye && len(r.s.holds) > 0 {
			t.Fatalf("%+v: the peer's close frame was answered before its messages were published", in)
		}
	}
	if vanish {
		r.disconnect(t)
	} else {
		r.ready(t, endless)
		for range len(in.stream)/holdSlack + 2 {
			r.turn(t)
		}
	}

	failed := vanish // it, or for want of memory
	for _, f := range r.frames(t) {
		switch f.Header.OpCode {
		case ws.OpPong:
			i := slices.IndexFunc(pings, func(e inputEvent) bool { return bytes.Equal(e.data, f.Payload) })
			if i < 0 {
				t.Fatalf("%+v: pong %q for no ping, or out of order", in, f.Payload)
			}
			pings = pings[i+1:]
		case ws.OpClose:
			code, _ := ws.ParseCloseFrameData(f.Payload)
			switch {
			case code == statusTryAgainLater && memory < ample:
				failed = true
			case end == nil || code != end.code:
				t.Fatalf("%+v: closed with %d, want %v", in, code, end)
			}
		default:
			t.Fatalf("%+v: sent %+v", in, f)
		}
	}
	got := r.tape.published
	if failed {
		messages = messages[:min(len(got), len(messages))]
	} else if r.ended != (end != nil) {
		t.Fatalf("%+v: ended %v, want %v", in, r.ended, end)
	}
	r.compareMessages(t, in, messages)
	if !vanish {
		r.disconnect(t)
	}
}

// ready makes room in the exchange, and tells the shard.
func (r *inputRig) ready(t testing.TB, room int) {
	t.Helper()
	r.tape.room = room
	r.s.publishHeld()
	r.turn(t)
}

// TestInputHeld: clients of all sorts and an exchange of all moods.
func TestInputHeld(t *testing.T) {
	rig := newInputRig(t)
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		var script []byte
		for range 1 + r.IntN(60) {
			op := byte(r.IntN(7) | r.IntN(2)<<4)
			switch r.IntN(100) {
			case 0:
				op = byte(r.IntN(256))
			case 1:
				op = 11
			case 2, 3, 4, 5:
				op = 8
			}
			script = append(script, op, byte(r.IntN(256)), byte(r.IntN(256)))
		}
		in := inputCase{stream: encodeInput(script), most: 2 << 10, shutAt: -1}
		for range r.IntN(60) {
			in.cuts = append(in.cuts, 1+r.IntN(1<<r.IntN(11)))
		}
		memory := int64(ample)
		if r.IntN(3) == 0 {
			memory = 1 << (9 + r.IntN(5))
		}
		rig.runHeld(t, in, uint8(r.Uint32()), memory, r.IntN(4) == 0)
	}
}
