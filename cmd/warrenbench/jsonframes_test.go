//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

const (
	welcomeText    = `{"type":"welcome","connection":"1","node":"n"}`
	subscribedText = `{"type":"subscribed","channel":"a","id":"0-0badcafe"}`
	ackText        = `{"type":"ack","mid":"n.1-5","ref":5}`
)

func textMessage(s string) []byte { return ws.MustCompileFrame(ws.NewTextFrame([]byte(s))) }

// jsonMessageFrame is serverFrame for a client of the JSON protocol. Ids get
// longer, and short payloads make frames with a header of either kind.
func jsonMessageFrame(size int, seq int64) []byte {
	p := make([]byte, size)
	payload(p, seq)
	return textMessage(fmt.Sprintf(`{"type":"message","channel":"a","id":"%d-0badcafe","at":17,"text":"%s"}`, 6+seq, p))
}

// jsonStream begins as a connection does.
func jsonStream(size int, from, to int64) []byte {
	b := append(textMessage(welcomeText), textMessage(subscribedText)...)
	for i := from; i < to; i++ {
		b = append(b, jsonMessageFrame(size, i)...)
	}
	return b
}

func TestReaderCountsMessagesInJSON(t *testing.T) {
	for _, size := range []int{8, 54, 55, 56, 57, 64, 1000, 32 << 10} {
		whole := jsonStream(size, 0, 20)
		ack, ping := textMessage(ackText), ws.MustCompileFrame(ws.NewPingFrame([]byte("there?")))
		mixed := bytes.Join([][]byte{jsonStream(size, 0, 7), ack, ping, jsonMessageFrame(size, 7), ack, jsonStream(size, 8, 20)}, nil)
		resumed := jsonStream(size, 99_999_995, 100_000_015)
		for _, c := range []struct {
			name  string
			b     []byte
			order order
			acks  int64
		}{{"plain", whole, fromZero, 0}, {"mixed", mixed, fromZero, 2}, {"resumed", resumed, fromAny, 0}, {"unnumbered", whole, unnumbered, 0}} {
			s := newShape(size, c.order).inJSON()
			for _, cut := range []int{1, 3, 100, size, len(c.b), 0} {
				var r reader
				pings := 0
				for rest := c.b; len(rest) > 0; {
					k := cut
					if k == 0 {
						k = 1 + rand.IntN(3*size)
					}
					k = min(k, len(rest))
					ping, err := r.take(rest[:k], &s)
					if err != nil {
						t.Fatalf("size %d, %s, cut %d: %v", size, c.name, cut, err)
					}
					if ping != nil {
						pings++
					}
					rest = rest[k:]
				}
				if r.frames != 20 || r.acks != c.acks || (pings == 1) != (c.name == "mixed") {
					t.Errorf("size %d, %s, cut %d: %d messages, %d acks, %d pings; want 20 and %d", size, c.name, cut, r.frames, r.acks, pings, c.acks)
				}
			}
		}
	}
}

func TestReaderRefusesInJSON(t *testing.T) {
	s := newShape(64, fromZero).inJSON()
	binary := ws.MustCompileFrame(ws.NewBinaryFrame([]byte(welcomeText)))
	text := strings.Repeat("x", 56)
	for _, c := range []struct {
		name string
		next []byte // after messages 0 to 4
		want string
	}{
		{"lost", jsonMessageFrame(64, 6), "where number 5 should be"},
		{"repeated", jsonMessageFrame(64, 4), "where number 5 should be"},
		{"longer", jsonMessageFrame(65, 5), "where number 5 should be"},
		{"shorter", jsonMessageFrame(63, 5), "where number 5 should be"},
		{"as data", textMessage(`{"type":"message","channel":"a","data":"00000005` + text + `"}`), "where number 5 should be"},
		{"unfinished", textMessage(`{"type":"message","channel":"a","text":"00000005` + text), "where number 5 should be"},
		{"raw", serverFrame(64, 5), `"00000005` + text + `" after 5 messages`},
		{"empty", textMessage(""), `"" after 5 messages`},
		{"gap", textMessage(`{"type":"gap","channel":"a"}`), "after 5 messages"},
		{"error", textMessage(`{"type":"error","code":"bad_json"}`), "bad_json"},
		{"binary", binary, "want text"},
		{"masked", appendClientFrame(nil, ws.OpText, []byte(welcomeText), 1), "not a server's"},
		{"closed", ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "slow consumer"))), `closed with 1013 "slow consumer"`},
	} {
		in := append(jsonStream(64, 0, 5), c.next...)
		for _, cut := range []int{len(in), 1, 100} {
			var r reader
			var err error
			for rest := in; len(rest) > 0 && err == nil; {
				k := min(cut, len(rest))
				_, err = r.take(rest[:k], &s)
				rest = rest[k:]
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || r.frames != 5 {
				t.Errorf("%s, cut %d: error %v after %d messages, want %q after 5", c.name, cut, err, r.frames, c.want)
			}
		}
	}
}
