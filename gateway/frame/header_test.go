package frame_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
)

func TestDecode(t *testing.T) {
	mask := [4]byte{0x01, 0x02, 0x03, 0x04}
	for _, c := range []struct {
		name string
		hex  string // of the whole header
		want ws.Header
		err  error
	}{
		{"empty text, unmasked", "8100", ws.Header{Fin: true, OpCode: ws.OpText}, nil},
		{"empty text", "8180 01020304", ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Mask: mask}, nil},
		{"not final", "0281 01020304", ws.Header{OpCode: ws.OpBinary, Masked: true, Mask: mask, Length: 1}, nil},
		{"all reserved bits", "f100", ws.Header{Fin: true, Rsv: 7, OpCode: ws.OpText}, nil},
		{"one reserved bit", "1000", ws.Header{Rsv: 1}, nil},
		{"reserved opcode", "8f00", ws.Header{Fin: true, OpCode: 0xf}, nil},
		{"125", "82fd 01020304", ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: mask, Length: 125}, nil},
		{"126", "82fe007e 01020304", ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: mask, Length: 126}, nil},
		{"126, unmasked", "827e007e", ws.Header{Fin: true, OpCode: ws.OpBinary, Length: 126}, nil},
		{"65535", "82feffff 01020304", ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: mask, Length: 65535}, nil},
		{"65536", "82ff0000000000010000 01020304", ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: mask, Length: 65536}, nil},
		{"65536, unmasked", "827f0000000000010000", ws.Header{Fin: true, OpCode: ws.OpBinary, Length: 65536}, nil},
		{"longest", "82ff7fffffffffffffff 01020304", ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: mask, Length: 1<<63 - 1}, nil},

		{"0 in 16 bits", "827e0000", ws.Header{}, frame.ErrLength},
		{"125 in 16 bits", "827e007d", ws.Header{}, frame.ErrLength},
		{"0 in 64 bits", "827f0000000000000000", ws.Header{}, frame.ErrLength},
		{"125 in 64 bits", "827f000000000000007d", ws.Header{}, frame.ErrLength},
		{"65535 in 64 bits", "827f000000000000ffff", ws.Header{}, frame.ErrLength},
		{"top bit", "827f8000000000000000", ws.Header{}, frame.ErrLength},
		{"all bits", "827fffffffffffffffff", ws.Header{}, frame.ErrLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			for n := range b {
				if _, got, err := frame.Decode(b[:n]); got != 0 || err != nil {
					t.Errorf("%d of %d bytes: n = %d, error %v; want 0 and none", n, len(b), got, err)
				}
			}
			for _, behind := range []string{"", "\x00", strings.Repeat("\xff", 20)} {
				h, n, err := frame.Decode(append(bytes.Clone(b), behind...))
				if !errors.Is(err, c.err) {
					t.Fatalf("error %v, want %v", err, c.err)
				}
				if err != nil {
					if n != 0 {
						t.Errorf("n = %d with an error, want 0", n)
					}
					continue
				}
				if h != c.want || n != len(b) {
					t.Errorf("got %+v in %d bytes, want %+v in %d", h, n, c.want, len(b))
				}
			}
		})
	}
}

// TestDecodeFirstBytes: all pairs of first bytes, against gobwas/ws.
func TestDecodeFirstBytes(t *testing.T) {
	behind := "\x00\x00\x00\x00\x00\x01\x23\x45abcd" // minimal in 64 bits
	short := "\x01\x23abcd"                          // minimal in 16
	for first := range 256 {
		for second := range 256 {
			b := append([]byte{byte(first), byte(second)}, behind...)
			if second&0x7f == 126 {
				b = append(b[:2], short...)
			}
			want, err := ws.ReadHeader(bytes.NewReader(b))
			if err != nil {
				t.Fatalf("% x: %v", b, err)
			}
			if got, _, err := frame.Decode(b); err != nil || got != want {
				t.Errorf("% x: got %+v, %v; want %+v", b, got, err, want)
			}
		}
	}
}

// sizes are payload lengths around the limits of the three length forms.
var sizes = []int{0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 1 << 20}

func TestAppend(t *testing.T) {
	for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpPing, ws.OpPong} {
		for _, size := range sizes {
			if op.IsControl() && size > ws.MaxControlFramePayloadSize {
				continue
			}
			t.Run(fmt.Sprintf("opcode %d, %d bytes", op, size), func(t *testing.T) {
				payload := bytes.Repeat([]byte("p"), size)
				want := ws.MustCompileFrame(ws.NewFrame(op, true, payload))
				before := []byte("before")
				got := frame.Append(bytes.Clone(before), op, payload)
				if !bytes.Equal(got, append(before, want...)) {
					t.Errorf("begins % .20x, want % .20x behind %q", got, want, before)
				}
				if n := frame.Size(size); n != len(want) {
					t.Errorf("Size(%d) = %d, want %d", size, n, len(want))
				}
				if head := len(want) - size; head > frame.MaxHeader {
					t.Errorf("a header of %d bytes, over MaxHeader", head)
				}
				if op.IsControl() && len(want) > frame.MaxControl {
					t.Errorf("a control frame of %d bytes, over MaxControl", len(want))
				}
				h, n, err := frame.Decode(want)
				if err != nil || n+int(h.Length) != len(want) || h.OpCode != op || !h.Fin || h.Masked || h.Rsv != 0 {
					t.Errorf("decoded to %+v in %d bytes, %v", h, n, err)
				}
			})
		}
	}
}

// TestAllocations: whatever is done for each frame makes no garbage.
func TestAllocations(t *testing.T) {
	payload := make([]byte, 1<<16)
	header := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(payload)))
	overlong := []byte{0x82, 126, 0, 1}
	body := ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye")
	dst := make([]byte, 0, frame.Size(len(payload)))
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"Decode", func() { _, _, _ = frame.Decode(header) }},
		{"Decode of a part", func() { _, _, _ = frame.Decode(header[:5]) }},
		{"Decode refused", func() { _, _, _ = frame.Decode(overlong) }},
		{"Append", func() { dst = frame.Append(dst[:0], ws.OpText, payload) }},
		{"AppendClose", func() { dst = frame.AppendClose(dst[:0], ws.StatusProtocolError, "reason") }},
		{"ParseClose", func() { _, _ = frame.ParseClose(body) }},
		{"ParseClose refused", func() { _, _ = frame.ParseClose(body[:1]) }},
	} {
		if n := testing.AllocsPerRun(100, c.run); n != 0 {
			t.Errorf("%s: %v allocations, want none", c.name, n)
		}
	}
}
