package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"warren/gateway"
)

// rawFrame is a frame to expect.
type rawFrame struct {
	first   byte
	payload string
}

// TestFrames sends what is right and expects the echo of a channel with one
// client, in one segment and byte by byte.
func TestFrames(t *testing.T) {
	const text, binary, ping, pong = rawFin | rawText, rawFin | rawBinary, rawFin | rawPing, rawFin | rawPong
	// The first and last code points of each length, and around the surrogates.
	const runes = "\u0000\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
	all := strings.Repeat("*", 125)
	tests := []struct {
		name string
		send []string
		want []rawFrame
	}{
		{"empty text", []string{masked(text, "")}, []rawFrame{{text, ""}}},
		{"empty binary", []string{masked(binary, "")}, []rawFrame{{binary, ""}}},
		{"binary that is no UTF-8", []string{masked(binary, "\xff\x00\xc0")}, []rawFrame{{binary, "\xff\x00\xc0"}}},
		{"text of every length of UTF-8", []string{masked(text, runes)}, []rawFrame{{text, runes}}},
		{"two frames", []string{masked(text, "a"), masked(binary, "b")}, []rawFrame{{text, "a"}, {binary, "b"}}},
		{"fragments", []string{masked(rawText, "Hel"), masked(rawCont, "l"), masked(rawFin, "o")}, []rawFrame{{text, "Hello"}}},
		{"binary fragments", []string{masked(rawBinary, "\xff"), masked(rawFin, "\xfe")}, []rawFrame{{binary, "\xff\xfe"}}},
		{"empty fragments", []string{masked(rawText, ""), masked(rawCont, ""), masked(rawFin, "")}, []rawFrame{{text, ""}}},
		{"empty last fragment", []string{masked(rawText, "a"), masked(rawFin, "")}, []rawFrame{{text, "a"}}},
		{"message after fragments", []string{masked(rawText, "a"), masked(rawFin, "b"), masked(binary, "\xff")},
			[]rawFrame{{text, "ab"}, {binary, "\xff"}}},
		{"ping between fragments", []string{masked(rawText, "a"), masked(ping, "p"), masked(rawFin, "b")},
			[]rawFrame{{pong, "p"}, {text, "ab"}}},
		{"ping inside a rune", []string{masked(rawText, "\xe2"), masked(ping, "\x82"), masked(rawFin, "\x82\xac")},
			[]rawFrame{{pong, "\x82"}, {text, "€"}}},
		{"pong between fragments", []string{masked(rawBinary, "a"), masked(pong, "p"), masked(rawFin, "b")},
			[]rawFrame{{binary, "ab"}}},
		{"empty ping", []string{masked(ping, "")}, []rawFrame{{pong, ""}}},
		{"ping with a byte", []string{masked(ping, "\xff")}, []rawFrame{{pong, "\xff"}}},
		{"longest ping", []string{masked(ping, all)}, []rawFrame{{pong, all}}},
		{"pongs nobody asked for", []string{masked(pong, ""), masked(pong, all), masked(text, "a")}, []rawFrame{{text, "a"}}},
	}
	n := start(t, gateway.Options{}, nil)
	for i, tt := range tests {
		for _, how := range []string{"whole", "bytewise"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				c := openRaw(t, n, fmt.Sprintf("/ws/frames/%d/%s", i, how))
				if how == "whole" {
					c.put(tt.send...)
				} else {
					c.drip(tt.send...)
				}
				for _, f := range tt.want {
					c.expectFrame(f.first, f.payload)
				}
				c.put(masked(rawFin|rawClose, ""))
				c.expectClose(0)
				c.expectEnd()
			})
		}
	}
}

// TestSizes echoes payloads around the limits of the three encodings of a
// length, whole and cut in two in every interesting place.
func TestSizes(t *testing.T) {
	n := start(t, gateway.Options{}, nil)
	for _, size := range []int{0, 1, 125, 126, 127, 128, 65535, 65536} {
		for _, op := range []byte{rawText, rawBinary} {
			t.Run(fmt.Sprintf("%d bytes, opcode %d", size, op), func(t *testing.T) {
				c := openRaw(t, n, fmt.Sprintf("/ws/sizes/%d/%d", size, op))
				payload := strings.Repeat("0123456789abcdef", size/16+1)[:size]
				whole := masked(rawFin|op, payload)
				for _, cut := range []int{0, 1, 2, 3, 5, 9, 13, 14, 15, len(whole) / 2, len(whole) - 1} {
					cut = min(cut, len(whole))
					c.put(whole[:cut])
					c.put(whole[cut:])
					c.expectFrame(rawFin|op, payload)
				}
			})
		}
	}
}

// TestPings sends several at once: all need not be answered, but the latest
// must be, and messages keep their order (RFC 6455, 5.5.3).
func TestPings(t *testing.T) {
	n := start(t, gateway.Options{}, nil)
	c := openRaw(t, n, "/ws/pings")
	var send []string
	for i := range 10 {
		send = append(send, masked(rawFin|rawPing, fmt.Sprint(i)))
		if i%5 == 4 {
			send = append(send, masked(rawFin|rawText, fmt.Sprint("after ", i)))
		}
	}
	c.put(send...)
	var texts []string
	latest := ""
	for len(texts) < 2 || latest < "9" {
		switch first, payload := c.frame(); {
		case first == rawFin|rawPong && payload > latest:
			latest = payload
		case first == rawFin|rawText:
			texts = append(texts, payload)
		default:
			t.Fatalf("got frame %#x %q after pong %q and texts %q", first, payload, latest, texts)
		}
	}
	if texts[0] != "after 4" || texts[1] != "after 9" {
		t.Errorf("texts in the wrong order: %q", texts)
	}
}

// TestBadFrames sends what breaks the protocol. No more is sent than what shows
// it: the connection must fail at once.
func TestBadFrames(t *testing.T) {
	const text, binary, ping = rawFin | rawText, rawFin | rawBinary, rawFin | rawPing
	// header is the first bytes of a frame, masked, of a length of 7 bits.
	header := func(first byte, length int) string { return string([]byte{first, 0x80 | byte(length)}) }
	mask := "\x00\x00\x00\x00"
	type test struct {
		name string
		send []string
		code int
	}
	tests := []test{
		{"unmasked text", []string{"\x81\x01"}, 1002},
		{"unmasked empty text", []string{"\x81\x00"}, 1002},
		{"unmasked ping", []string{"\x89\x00"}, 1002},
		{"unmasked close", []string{"\x88\x00"}, 1002},
		{"unmasked second frame", []string{masked(rawFin|rawPong, ""), "\x82\x05"}, 1002},
		{"continuation of nothing", []string{header(rawFin, 1)}, 1002},
		{"continuation of nothing, not final", []string{header(rawCont, 1)}, 1002},
		{"continuation after the last fragment", []string{masked(rawText, "a"), masked(rawFin, "b"), header(rawFin, 1)}, 1002},
		{"text inside fragments", []string{masked(rawText, "a"), header(text, 1)}, 1002},
		{"binary inside fragments", []string{masked(rawText, "a"), masked(rawFin|rawPong, ""), header(binary, 0)}, 1002},
		{"fragment that begins anew", []string{masked(rawText, "a"), header(rawText, 1)}, 1002},
		{"ping not final", []string{header(rawPing, 0)}, 1002},
		{"pong not final", []string{header(rawPong, 3)}, 1002},
		{"close not final", []string{header(rawClose, 2)}, 1002},
		{"ping of 126 bytes", []string{header(ping, 126)}, 1002},
		{"ping of 126 bytes, whole", []string{masked(ping, strings.Repeat("*", 126))}, 1002},
		{"pong of 126 bytes", []string{header(rawFin|rawPong, 126)}, 1002},
		{"close of 65536 bytes", []string{header(rawFin|rawClose, 127)}, 1002},
		{"0 bytes as 16 bits", []string{"\x82\xfe\x00\x00" + mask}, 1002},
		{"125 bytes as 16 bits", []string{"\x81\xfe\x00\x7d"}, 1002},
		{"125 bytes as 64 bits", []string{"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x7d"}, 1002},
		{"65535 bytes as 64 bits", []string{"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff"}, 1002},
		{"top bit of 64", []string{"\x82\xff\x80\x00\x00\x00\x00\x01\x00\x00" + mask}, 1002},
		{"all 64 bits", []string{"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask}, 1002},
		{"all of 63 bits", []string{"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + mask}, 1009},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		tests = append(tests,
			test{fmt.Sprintf("opcode %d", op), []string{header(rawFin|op, 1)}, 1002},
			test{fmt.Sprintf("opcode %d inside fragments", op), []string{masked(rawText, "a"), header(rawFin|op, 0)}, 1002})
	}
	for _, rsv := range []byte{0x10, 0x20, 0x40, 0x70} {
		for _, op := range []byte{rawText, rawBinary, rawPing, rawPong, rawClose} {
			tests = append(tests, test{fmt.Sprintf("reserved bits %#x of opcode %d", rsv, op), []string{header(rawFin|rsv|op, 0)}, 1002})
		}
		tests = append(tests, test{fmt.Sprintf("reserved bits %#x of a continuation", rsv),
			[]string{masked(rawText, "a"), header(rawFin|rsv, 1)}, 1002})
	}

	n := start(t, gateway.Options{}, newRecorder())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, write := range []func(*rawConn, ...string){(*rawConn).put, (*rawConn).drip} {
				c := openRaw(t, n, "/ws/bad")
				write(c, tt.send...)
				c.expectFailed(tt.code)
			}
		})
	}
}

// TestBadUTF8 wants 1007 as soon as a byte can't be made good by any other
// (Autobahn's "fail fast"): behind it comes nothing more.
func TestBadUTF8(t *testing.T) {
	// begun is a text frame of 100 bytes, of which these have come.
	begun := func(payload string) string {
		whole := masked(rawFin|rawText, payload+strings.Repeat(" ", 100-len(payload)))
		return whole[:6+len(payload)]
	}
	tests := []struct {
		name string
		send []string
	}{
		{"whole frame", []string{masked(rawFin|rawText, "a\xffb")}},
		{"rune not finished", []string{masked(rawFin|rawText, "a\xe2\x82")}},
		{"rune not finished at the last fragment", []string{masked(rawText, "a"), masked(rawFin, "\xf0\x9f\x92")}},
		{"rune not finished at an empty last fragment", []string{masked(rawText, "\xc3"), masked(rawFin, "")}},
		{"inside a frame", []string{begun("good \xff")}},
		{"continuation byte", []string{begun("\x80")}},
		{"rune broken off", []string{begun("\xe2\x82a")}},
		{"overlong slash in 2 bytes", []string{begun("\xc0")}},
		{"overlong in 3 bytes", []string{begun("\xe0\x9f")}},
		{"overlong in 4 bytes", []string{begun("\xf0\x8f")}},
		{"first surrogate", []string{begun("\xed\xa0")}},
		{"last surrogate", []string{begun("\xed\xbf")}},
		{"beyond U+10FFFF", []string{begun("\xf4\x90")}},
		{"5 bytes", []string{begun("\xf8")}},
		{"first fragment", []string{masked(rawText, "\xfe")}},
		{"split over fragments", []string{masked(rawText, "\xed"), masked(rawCont, ""), masked(rawCont, "\xa0")}},
		{"inside a later fragment", []string{masked(rawText, "\xf4"), masked(rawFin|rawPing, ""), masked(rawCont, "\x90\x80")[:7]}},
	}
	n := start(t, gateway.Options{}, newRecorder())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, write := range []func(*rawConn, ...string){(*rawConn).put, (*rawConn).drip} {
				c := openRaw(t, n, "/ws/utf8")
				write(c, tt.send...)
				first, payload := c.frame()
				if first == rawFin|rawPong {
					first, payload = c.frame()
				}
				if first != rawFin|rawClose || !strings.HasPrefix(payload, closeBody(1007, "")) {
					t.Fatalf("got frame %#x %q, want a close frame with 1007", first, payload)
				}
				c.expectEnd()
			}
		})
	}
}

// TestRuneSplitEverywhere sends a rune cut into fragments at every place.
func TestRuneSplitEverywhere(t *testing.T) {
	n := start(t, gateway.Options{}, nil)
	c := openRaw(t, n, "/ws/split")
	const text = "é€💬"
	for i := range len(text) + 1 {
		for j := i; j <= len(text); j++ {
			c.put(masked(rawText, text[:i]), masked(rawCont, text[i:j]), masked(rawFin, text[j:]))
			c.expectFrame(rawFin|rawText, text)
		}
	}
}

// TestMessageSize wants the largest message through and one byte more refused
// as soon as a header says so, fragments counted together.
func TestMessageSize(t *testing.T) {
	const most = 1000
	n := start(t, gateway.Options{WebSocket: gateway.WebSocketOptions{MaxMessageSize: most}}, nil)
	bytes := func(size int) string { return strings.Repeat("x", size) }
	header := func(first byte, size int) string {
		frame := masked(first, bytes(size))
		return frame[:len(frame)-size]
	}
	whole := rawFrame{rawFin | rawBinary, bytes(most)}
	for i, tt := range []struct {
		name string
		send []string
		want []rawFrame
		fits bool
	}{
		{"whole", []string{masked(rawFin|rawBinary, bytes(most))}, []rawFrame{whole}, true},
		{"fragments", []string{masked(rawBinary, bytes(600)), masked(rawFin, bytes(most-600))}, []rawFrame{whole}, true},
		{"one after the other", []string{masked(rawFin|rawBinary, bytes(most)), masked(rawFin|rawBinary, bytes(most))}, []rawFrame{whole, whole}, true},
		{"one over", []string{header(rawFin|rawBinary, most+1)}, nil, false},
		{"one over, not final", []string{header(rawBinary, most+1)}, nil, false},
		{"64 KiB", []string{header(rawFin|rawText, 1<<16)}, nil, false},
		{"fragments, one over", []string{masked(rawBinary, bytes(600)), header(rawFin, most+1-600)}, nil, false},
		{"second fragment, not final", []string{masked(rawBinary, bytes(most)), header(rawCont, 1)}, nil, false},
		{"after a good one", []string{masked(rawFin|rawBinary, bytes(most)), header(rawFin|rawText, most+1)}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openRaw(t, n, fmt.Sprintf("/ws/size/%d", i))
			c.put(tt.send...)
			for _, f := range tt.want {
				c.expectFrame(f.first, f.payload)
			}
			if tt.fits {
				return
			}
			// What was good before may come first.
			first, payload := c.frame()
			for first == rawFin|rawBinary {
				first, payload = c.frame()
			}
			if first != rawFin|rawClose || !strings.HasPrefix(payload, closeBody(1009, "")) || !strings.Contains(payload, fmt.Sprint(most)) {
				t.Errorf("got frame %#x %q, want a close frame with 1009 and the limit", first, payload)
			}
			c.expectEnd()
		})
	}
}

// TestFramesWithHandshake sends the first frames behind the head, with no wait
// for the answer.
func TestFramesWithHandshake(t *testing.T) {
	n := start(t, gateway.Options{}, nil)
	frames := masked(rawFin|rawText, "first") + masked(rawText, "a") + masked(rawFin|rawPing, "p") + masked(rawFin, "b")
	head := func(i int) string { return upgradeHead(fmt.Sprintf("/ws/early/%d", i)) }
	size := len(head(0))
	for i, tt := range []struct {
		name string
		cut  int
	}{
		{"one segment", size + len(frames)},
		{"cut in the head", size - 1},
		{"cut behind the head", size},
		{"cut in a header", size + 1},
		{"cut in a payload", size + 8},
		{"cut in the last", size + len(frames) - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connectRaw(t, n)
			all := head(i) + frames
			c.put(all[:tt.cut])
			c.put(all[tt.cut:])
			c.expectOpen()
			got := map[string]bool{}
			for range 3 { // the pong may overtake the first message
				first, payload := c.frame()
				got[fmt.Sprintf("%#x %s", first, payload)] = true
			}
			for _, want := range []string{"0x81 first", "0x8a p", "0x81 ab"} {
				if !got[want] {
					t.Errorf("got %v, want %s among them", got, want)
				}
			}
		})
	}
}

// TestByteByByte sends a whole conversation with one byte a segment.
func TestByteByByte(t *testing.T) {
	n := start(t, gateway.Options{}, nil)
	c := connectRaw(t, n)
	c.drip(upgradeHead("/ws/bytewise"), masked(rawFin|rawText, "first"), masked(rawText, "a"))
	c.expectOpen()
	c.expectFrame(rawFin|rawText, "first")
	c.drip(masked(rawFin|rawPing, "p"))
	c.expectFrame(rawFin|rawPong, "p")
	long := strings.Repeat("0123456789", 20)
	c.drip(masked(rawFin, long), masked(rawFin|rawClose, closeBody(1000, "bye")))
	first, payload := c.frame()
	if first == rawFin|rawText && payload == "a"+long { // the close may overtake it
		first, payload = c.frame()
	}
	if first != rawFin|rawClose || payload != closeBody(1000, "") {
		t.Errorf("got frame %#x %q, want a close frame with 1000", first, payload)
	}
	c.expectEnd()
}

func TestReadOnly(t *testing.T) {
	r := newRecorder()
	n := start(t, gateway.Options{WebSocket: gateway.WebSocketOptions{ReadOnly: true}}, r)
	listener := openRaw(t, n, "/ws/news")
	listener.put(masked(rawFin|rawPing, "p"))
	listener.expectFrame(rawFin|rawPong, "p")
	for _, send := range []string{masked(rawFin|rawText, "a")[:6], masked(rawFin|rawBinary, ""), masked(rawText, "")} {
		c := openRaw(t, n, "/ws/news")
		c.put(send)
		c.expectFailed(1008)
	}
	(<-r.to).Deliver(gateway.Message{Channel: "news", Payload: []byte("told"), Text: true})
	listener.expectFrame(rawFin|rawText, "told")
	if got := r.wait(t.Context(), 0); len(got) > 0 {
		t.Errorf("published: %v", got)
	}
}
