package frame_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/gobwas/ws"

	"warren/gateway/frame"
)

// FuzzDecode: the same as ws.ReadHeader, but for lengths that we refuse.
func FuzzDecode(f *testing.F) {
	for _, size := range sizes {
		whole := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(make([]byte, min(size, 1<<16)))))
		f.Add(whole[:min(len(whole), 20)])
	}
	f.Add([]byte{})
	f.Add([]byte{0x88})
	f.Add([]byte{0x81, 126, 0, 125})
	f.Add([]byte{0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x7f, 255, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		h, n, err := frame.Decode(b)
		if !bytes.Equal(b, before) {
			t.Fatal("it wrote to its input")
		}
		r := bytes.NewReader(b)
		theirs, theirErr := ws.ReadHeader(r)
		switch {
		case err != nil:
			if !errors.Is(err, frame.ErrLength) || !refusable(b) {
				t.Fatalf("% x: %v", b, err)
			}
		case n == 0:
			if !errors.Is(theirErr, io.EOF) && !errors.Is(theirErr, io.ErrUnexpectedEOF) {
				t.Fatalf("% x: not whole for us; theirs %+v, %v", b, theirs, theirErr)
			}
			if refusable(b) {
				t.Fatalf("% x: not refused as soon as it could be", b)
			}
		default:
			if theirErr != nil || h != theirs || n != len(b)-r.Len() {
				t.Fatalf("% x: ours %+v in %d bytes; theirs %+v in %d, %v", b, h, n, theirs, len(b)-r.Len(), theirErr)
			}
			var again bytes.Buffer
			if err := ws.WriteHeader(&again, h); err != nil || !bytes.Equal(again.Bytes(), b[:n]) {
				t.Fatalf("% x: encoded again % x, %v", b[:n], again.Bytes(), err)
			}
		}
	})
}

// refusable says whether the length at the start of b is whole and overlong or
// negative.
func refusable(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	switch form := b[1] & 0x7f; {
	case form == 126 && len(b) >= 4:
		return binary.BigEndian.Uint16(b[2:]) < 126
	case form == 127 && len(b) >= 10:
		n := binary.BigEndian.Uint64(b[2:])
		return n < 1<<16 || n >= 1<<63
	}
	return false
}

// FuzzParseClose: what it accepts, ws.CheckCloseFrameData does too, but for
// codes registered since.
func FuzzParseClose(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3})
	f.Add(ws.NewCloseFrameBody(1000, "bye"))
	f.Add(ws.NewCloseFrameBody(1006, ""))
	f.Add([]byte("\x0f\xa0\xed\xa0\x80"))
	f.Fuzz(func(t *testing.T, body []byte) {
		code, err := frame.ParseClose(body)
		if len(body) < 2 {
			if code != 0 || (err != nil) != (len(body) == 1) {
				t.Fatalf("% x: %d, %v", body, code, err)
			}
			return
		}
		theirs, reason := ws.ParseCloseFrameData(body)
		if code != theirs {
			t.Fatalf("% x: code %d, theirs %d", body, code, theirs)
		}
		if code >= 1012 && code <= 1014 {
			theirs = ws.StatusNormalClosure // not in their list
		}
		theirErr := ws.CheckCloseFrameData(theirs, reason)
		// They let pass what lies beyond all ranges.
		if over := code >= 5000; (err == nil) != (theirErr == nil) && !over || over && err == nil {
			t.Fatalf("% x: %v, theirs %v", body, err, theirErr)
		}
	})
}
