package gateway

import (
	"bytes"
	"encoding/binary"

	"github.com/gobwas/ws"
)

// inputText is what scripts send: runes of all lengths, so that most places to
// cut it at are inside one.
var inputText = bytes.Repeat([]byte("aé€😀"), 200)

// inputBytes is what they send as binary.
var inputBytes = bytes.Repeat([]byte{0xff, 0x80, 0xf0, 0x90, 0xc3, 0x00, 0xed, 0xa0, 'a', 0xe2}, 200)

// runeEnd says whether a rune of inputText ends at n.
func runeEnd(n int) bool {
	switch n % 10 {
	case 0, 1, 3, 6:
		return true
	}
	return false
}

// inputWriter encodes frames as a client does.
type inputWriter struct {
	stream []byte
	mask   [4]byte
}

func (w *inputWriter) frame(first byte, payload []byte) {
	w.mask[len(w.stream)%4] += byte(len(payload)) | 1
	if len(w.stream)%7 == 0 {
		w.mask = [4]byte{} // is a mask too
	}
	h := ws.Header{Fin: first&0x80 != 0, Rsv: first >> 4 & 7, OpCode: ws.OpCode(first & 0xf),
		Masked: true, Mask: w.mask, Length: int64(len(payload))}
	var b bytes.Buffer
	if err := ws.WriteHeader(&b, h); err != nil {
		panic(err)
	}
	for i, p := range payload {
		b.WriteByte(p ^ w.mask[i%4])
	}
	w.stream = append(w.stream, b.Bytes()...)
}

// encodeInput makes a stream of mostly good frames from a script, three bytes a
// frame: a fuzzer that mutates frames seldom leaves one whole.
func encodeInput(script []byte) []byte {
	var w inputWriter
	var open, text bool
	var place int // in inputText: the fragments of a message go on where the last ended
	for len(script) >= 3 && len(w.stream) < 4<<10 {
		op, a, b := script[0], int(script[1]), int(script[2])
		script = script[3:]
		switch op % 16 {
		default: // a data frame that may come now
			first := byte(ws.OpContinuation)
			if !open {
				first = 1 + op>>4&1
				text, place = first == byte(ws.OpText), 0
			}
			size := a
			if b >= 0xc0 {
				size += b & 0x3f * 20
			}
			if open = op&1 == 1; !open {
				first |= 0x80
				for text && b&1 == 0 && !runeEnd(place+size) {
					size++
				}
			}
			payload := inputText
			if !text {
				payload = inputBytes
			}
			w.frame(first, payload[place%10:][:size])
			place += size
		case 7: // any data frame
			open = op>>4&1 == 0
			w.frame(op>>4&1<<7|byte(b%3), inputText[:a])
		case 8, 9:
			w.frame(0x89, inputText[:a%126])
		case 10:
			w.frame(0x8a, inputText[:a%126])
		case 11:
			body := binary.BigEndian.AppendUint16(nil, uint16(980+a))
			w.frame(0x88, append(body, inputText[:b%124]...))
		case 12: // close, as bad as can be
			w.frame(0x88, []byte{byte(a), byte(b), 0xc3, 0x28}[:op>>4%5])
		case 13: // bytes that are hardly text
			w.frame(0x81, []byte{'a', byte(a), byte(b), 'z'})
		case 14: // any header
			w.frame(byte(a), inputText[:b%130])
		case 15: // anything
			w.stream = append(w.stream, byte(a), byte(b))
		}
	}
	return w.stream
}
