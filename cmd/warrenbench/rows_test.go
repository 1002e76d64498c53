//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// frames are messages with these numbers.
func frames(numbers ...int64) (b []byte) {
	for _, n := range numbers {
		b = append(b, serverFrame(64, n)...)
	}
	return b
}

// read takes b in pieces of cut bytes.
func read(r *reader, s *shape, b []byte, cut int) error {
	for piece := range slices.Chunk(b, cut) {
		if _, err := r.take(piece, s); err != nil {
			return err
		}
	}
	return nil
}

var cuts = []int{1, 65, 66, 67, 200, 1 << 20}

func TestReaderOfSeveralSenders(t *testing.T) {
	const second, third = rowSize, 2 * rowSize
	for _, c := range []struct {
		name string
		in   []byte
		want string // the error
	}{
		{"in turn", frames(0, second, 1, 2, second+1, third, 3), ""},
		{"with a ping", append(frames(0, second), append(ws.MustCompileFrame(ws.NewPingFrame(nil)), frames(1)...)...), ""},
		{"lost", frames(0, 1, second, 3), `message "00000003`},
		{"lost, the first", frames(0, second+1), `message "01000001`},
		{"twice", frames(0, second, second, 1), `message "01000000`},
		{"out of order", frames(0, 2, 1), `message "00000002`},
	} {
		s := newShape(64, bySender)
		for _, cut := range cuts {
			var r reader
			err := read(&r, &s, c.in, cut)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, cut %d: error %v, want %q", c.name, cut, err, c.want)
			}
			if want := int64(strings.Count(string(c.in), "\x81\x40")); err == nil && r.frames != want {
				t.Errorf("%s, cut %d: %d frames, want %d", c.name, cut, r.frames, want)
			}
		}
	}
}

func TestCountsOfSendersWrap(t *testing.T) {
	var r rows
	for i := range int64(rowSize + 10) {
		if !r.next(rowSize + i%rowSize) {
			t.Fatalf("message %d is not the next", i)
		}
	}
}

func TestOneOrder(t *testing.T) {
	s := newShape(64, bySender)
	for _, c := range []struct {
		a, b []byte
		want bool
	}{
		{frames(0, rowSize, 1), frames(0, rowSize, 1), true},
		{frames(0, rowSize, 1), frames(0, 1, rowSize), false},
		{frames(0), nil, false},
	} {
		f := fan{clients: make([]client, 2)}
		for i, in := range [][]byte{c.a, c.b} {
			if err := read(&f.clients[i].reader, &s, in, 100); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.oneOrder(); (err == nil) != c.want {
			t.Errorf("%q and %q: error %v", c.a, c.b, err)
		}
	}
}

func TestReaderThatBeginsAnywhere(t *testing.T) {
	s := newShape(64, fromAny)
	for _, cut := range cuts {
		for in, want := range map[string]string{
			string(frames(41, 42, 43, 44)):          "",
			string(frames(99_999_999, 0, 1)):        "",
			string(frames(41, 43)):                  "where number 42 should be",
			string(frames(41, 41)):                  "where number 42 should be",
			string(append(frames(5), 0x82, 1, 'x')): "frame header 82 01",
		} {
			var r reader
			err := read(&r, &s, []byte(in), cut)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q, cut %d: error %v, want %q", in, cut, err, want)
			}
		}
	}
}

func TestSendersShareTheMessages(t *testing.T) {
	y, err := startYardstick(64, true, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := y.stop(); err != nil {
			t.Error(err)
		}
	}()
	f, err := newFan(64, bySender)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if err := f.grow(t.Context(), newDialer(y.target), 4); err != nil {
		t.Fatal(err)
	}
	s := newSenders(f, 3, 64)
	total := int64(0)
	for _, n := range []int64{1, 1000, 7} {
		total += n
		f.expect(total)
		if err := s.send(int(n)); err != nil {
			t.Fatal(err)
		}
		if err := f.until(t.Context(), "all messages", func() bool { return f.have(3, 4, total) && f.behind == 0 }); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.all(total); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(s.counts); got != "[335 335 338]" {
		t.Errorf("senders sent %s", got)
	}
}
