package gateway

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gobwas/ws"
)

// inputCase is one run of a stream.
type inputCase struct {
	stream []byte
	most   int   // websocket.max_message_size
	cuts   []int // sizes of what comes at once; the rest is cut at 4 KiB
	shutAt int   // the chunk before which the node closes the connection; -1: none
}

// run feeds the stream, and wants of the shard after every chunk what the model
// wants of the bytes so far.
func (r *inputRig) run(t testing.TB, in inputCase) {
	t.Helper()
	r.g.o.WebSocket.MaxMessageSize = in.most
	events, idle := modelInput(in.stream, in.most)
	var messages []inputEvent
	var output []ws.Frame // without reasons
	var fed int
	var shut, ended bool
	for i := 0; i == 0 || fed < len(in.stream); i++ {
		size := 4 << 10
		if i < len(in.cuts) {
			size = in.cuts[i]
		}
		chunk := in.stream[fed:min(len(in.stream), fed+size)]
		fed += len(chunk)
		if i == 0 {
			r.connect(t, chunk)
		} else {
			if i == in.shutAt {
				r.s.shut(r.c, ws.StatusGoingAway, "", writeLog)
				if !ended {
					shut = true
					output = append(output, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
				}
			}
			r.feed(t, chunk)
		}

		var ping []byte
		for ; len(events) > 0 && events[0].at <= fed; events = events[1:] {
			switch e := events[0]; e.kind {
			case inputMessage:
				messages = append(messages, e)
			case inputPing:
				ping = append([]byte{}, e.data...)
			case inputEnd:
				ended = true
				if !shut {
					var body []byte
					if e.code != 0 {
						body = ws.NewCloseFrameBody(e.code, "")
					}
					output = append(output, ws.NewCloseFrame(body))
				}
			}
		}
		// Of the pings in one read the latest is answered.
		if ping != nil && !shut && !ended {
			output = append(output, ws.NewPongFrame(ping))
		}
		r.compare(t, in, fed, messages, output, ended)
		if !ended && idle[fed] && r.c.in != nil {
			t.Fatalf("%+v: after %d bytes nothing is under way, and %+v is kept", in, fed, *r.c.in)
		}
	}
	r.disconnect(t)
}

// compare wants these messages and this output so far.
func (r *inputRig) compare(t testing.TB, in inputCase, fed int, messages []inputEvent, output []ws.Frame, ended bool) {
	t.Helper()
	r.compareMessages(t, in, messages)
	got := r.frames(t)
	for i := range got {
		if f := &got[i]; f.Header.OpCode == ws.OpClose && len(f.Payload) > 2 {
			f.Payload = f.Payload[:2]
			f.Header.Length = 2
		}
	}
	same := slices.EqualFunc(got, output, func(a, b ws.Frame) bool {
		return a.Header == b.Header && bytes.Equal(a.Payload, b.Payload)
	})
	if !same || r.ended != ended {
		t.Fatalf("%+v: after %d bytes sent %+v, end %v; want %+v, %v", in, fed, got, r.ended, output, ended)
	}
}

func (r *inputRig) compareMessages(t testing.TB, in inputCase, messages []inputEvent) {
	t.Helper()
	same := slices.EqualFunc(r.tape.published, messages, func(m Message, e inputEvent) bool {
		return m.Text == e.text && bytes.Equal(m.Payload, e.data) && m.Channel == "room" && m.Client == r.c.id
	})
	if !same {
		t.Fatalf("%+v: published %+v, want %v", in, r.tape.published, messages)
	}
}

// inputCuts reads sizes of chunks, most of them small, out of bytes.
func inputCuts(b []byte) (cuts []int) {
	for _, c := range b {
		if c < 192 {
			cuts = append(cuts, 1+int(c)%16)
		} else {
			cuts = append(cuts, (int(c)-191)*64)
		}
	}
	return cuts
}

// FuzzInput: whatever a client sends, however it is cut, what comes of it is
// what RFC 6455 says, at once, and nothing of it is left.
func FuzzInput(f *testing.F) {
	for _, seed := range inputSeeds() {
		f.Add(seed, false, []byte{}, uint16(0))
		f.Add(seed, false, []byte{0, 0, 1, 2, 200, 3, 5, 0, 0}, uint16(0x0304))
		f.Add(seed, false, []byte{7, 9, 250}, uint16(0xfe08))
		f.Add(encodeInput(seed), true, bytes.Repeat([]byte{0, 4}, 50), uint16(0x0018))
		f.Add(encodeInput(seed), true, bytes.Repeat([]byte{6, 3}, 50), uint16(0x0a2b))
	}
	rig := newInputRig(f)
	f.Fuzz(func(t *testing.T, b []byte, raw bool, cuts []byte, shape uint16) {
		in := inputCase{stream: b, most: []int{300, 5, 1 << 10, 64 << 10}[shape&3], cuts: inputCuts(cuts), shutAt: -1}
		if !raw {
			in.stream = encodeInput(b)
		}
		if len(in.stream) > 8<<10 {
			return
		}
		defer rig.renew(t)
		if shape>>3&1 == 1 {
			memory := int64(ample)
			if shape>>4&1 == 1 {
				memory = 700
			}
			rig.runHeld(t, in, uint8(shape>>8), memory, shape>>5&1 == 1)
			return
		}
		if shape>>2&1 == 1 {
			in.shutAt = 1 + int(shape>>8)%64
		}
		rig.run(t, in)
		in.cuts = nil
		rig.run(t, in)
		if len(in.stream) < 200 {
			in.cuts = slices.Repeat([]int{1}, len(in.stream))
			rig.run(t, in)
		}
	})
}

// inputSeeds is scripts for encodeInput.
func inputSeeds() [][]byte {
	return [][]byte{
		{},
		{0, 10, 0},                           // a text
		{0x10, 10, 0, 0, 0, 1, 2, 125, 0},    // binary, empty, 125
		{0, 126, 1, 2, 255, 1},               // 16 bits of length
		{1, 7, 1, 3, 1, 1, 8, 4, 0, 2, 5, 0}, // fragments cut runes, a ping between
		{1, 0, 1, 3, 0, 1, 2, 0, 0},          // empty fragments
		{0, 2, 1},                            // ends in a rune
		{8, 0, 0, 9, 125, 0, 10, 3, 0, 0x1f, 9, 129}, // pings, a pong, half a ping
		{0, 40, 0, 11, 20, 3, 0, 40, 0},              // data, close 1000, data that comes too late
		{11, 26, 1},                                  // close 1006
		{11, 24, 2},                                  // a reason that ends in a rune
		{0x0c, 0, 0},                                 // close without a body
		{0x1c, 3, 0},                                 // of one byte
		{0x4c, 3, 232},                               // with a bad reason
		{13, 0xc0, 0xaf},                             // bytes that are no text
		{13, 0xed, 0xa0},                             // a surrogate
		{1, 3, 1, 7, 3, 1},                           // a new message amid another
		{7, 3, 0},                                    // a fragment of none
		{14, 0xc1, 3}, {14, 0x83, 3}, {14, 0x8b, 3}, {14, 0x09, 3}, {14, 0x89, 126},
		{15, 0x81, 0x05},                                  // unmasked
		{15, 0x81, 0xfe, 15, 0x00, 0x7d},                  // overlong
		{15, 0x82, 0xff, 15, 0x80, 0x00, 0, 90, 1},        // negative
		{0x10, 255, 255, 0x10, 255, 255, 0x11, 255, 0xf0}, // too big, in the end
	}
}

// TestInputLong: messages of all sizes up to the default limit and beyond, with
// all forms of length.
func TestInputLong(t *testing.T) {
	rig := newInputRig(t)
	const most = 64 << 10
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var w inputWriter
			text, binary := make([]byte, most+1), make([]byte, most+1)
			for i := range text {
				text[i], binary[i] = inputText[i%10], inputBytes[i%10]
			}
			for range 1 + r.IntN(6) {
				size := []int{r.IntN(200), r.IntN(3000), r.IntN(most), most - r.IntN(2)}[r.IntN(4)]
				if r.IntN(20) == 0 {
					size = most + 1
				}
				kind, payload := byte(1), text
				if r.IntN(2) == 0 {
					kind, payload = 2, binary
				}
				for kind == 1 && size > 0 && !runeEnd(size) {
					size--
				}
				begin := 0
				for n := r.IntN(4); n > 0; n-- {
					end := begin + r.IntN(size-begin+1)
					w.frame(kind, payload[begin:end])
					kind, begin = 0, end
					if r.IntN(2) == 0 {
						w.frame(0x89, payload[:r.IntN(126)])
					}
				}
				w.frame(0x80|kind, payload[begin:size])
			}
			in := inputCase{stream: w.stream, most: most, shutAt: -1}
			for range 20 {
				in.cuts = append(in.cuts, 1+r.IntN(1<<(1+r.IntN(15))))
			}
			rig.run(t, in)
		})
	}
}

// TestInputNeighbours: clients with incomplete messages don't mix, whoever ends
// first, and however.
func TestInputNeighbours(t *testing.T) {
	var w inputWriter
	w.frame(0x81, inputText[:100])
	first := newInputRig(t)
	for order := range 27 {
		rigs := []*inputRig{first, new(*first), new(*first)}
		for i, r := range rigs {
			r.connect(t, w.stream[:10*(i+1)])
		}
		for i, n := 0, order; i < len(rigs); i, n = i+1, n/3 {
			r := rigs[(i+order)%len(rigs)]
			if n%3 == 0 {
				r.leave(t)
				continue
			}
			r.feed(t, w.stream[10*((i+order)%len(rigs)+1):])
			if m := first.tape.published[len(first.tape.published)-1]; m.Client != r.c.id || !bytes.Equal(m.Payload, inputText[:100]) {
				t.Fatalf("order %d: published %+v of client %d", order, m, r.c.id)
			}
			if n%3 == 1 {
				r.leave(t)
			}
		}
		for _, r := range rigs {
			if r.c.state != gone {
				r.leave(t)
			}
		}
		first.expectNothingLeft(t)
	}
}
