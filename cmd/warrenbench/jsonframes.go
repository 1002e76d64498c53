//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// How the messages of the JSON protocol that matter here begin, and how one that
// brings text ends.
var (
	jsonWelcome    = []byte(`{"type":"welcome",`)
	jsonSubscribed = []byte(`{"type":"subscribed",`)
	jsonAck        = []byte(`{"type":"ack",`)
	jsonMessage    = []byte(`{"type":"message",`)
	jsonText       = []byte(`,"text":"`)
	jsonEnd        = []byte(`"}`)
)

// inJSON is s for clients of the JSON protocol.
func (s shape) inJSON() shape {
	s.json = true
	return s
}

// message is the number of the message in body, if it is one of the expected
// size. Its text is the last field, and has nothing to escape.
func (s *shape) message(body []byte) (n int64, ok bool) {
	head, ok := bytes.CutSuffix(body, jsonEnd)
	size := s.size - len(s.header)
	if !ok || len(head) < size || !bytes.HasPrefix(body, jsonMessage) {
		return 0, false
	}
	head, text := head[:len(head)-size], head[len(head)-size:]
	return number(text), bytes.HasSuffix(head, jsonText)
}

// textFrame is the payload of the whole text frame that b begins with, and the
// size of that frame; 0 if there is none, or a long one.
func textFrame(b []byte) (body []byte, size int) {
	if len(b) < 4 || b[0] != 0x81 {
		return nil, 0
	}
	at, n := 2, int(b[1])
	switch {
	case n == 126:
		at, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	case n > 126: // 64 bits, or masked
		return nil, 0
	}
	if len(b) < at+n {
		return nil, 0
	}
	return b[at : at+n], at + n
}

// wholeMessages is whole for the JSON protocol. Ids seldom get longer: most
// frames of a read are as long as the first, so that it looks at that and at the
// last of all, or of half of them, and so on.
func (r *reader) wholeMessages(b []byte, s *shape) int {
	body, size := textFrame(b)
	if n, ok := s.message(body); !ok || !r.due(n, s) {
		return 0
	}
	k := len(b) / size
	for ; k > 1; k /= 2 {
		last, lastSize := textFrame(b[(k-1)*size:])
		if n, ok := s.message(last); ok && lastSize == size && s.numbered(n, r.first+r.frames+int64(k-1)) {
			break
		}
	}
	r.frames += int64(k)
	return k * size
}

// due says whether the message number n may come now.
func (r *reader) due(n int64, s *shape) bool {
	if s.order == fromAny && r.frames == 0 {
		r.first = n
	}
	return s.numbered(n, r.first+r.frames)
}

// numbered says whether n is what the message number seq has.
func (s *shape) numbered(n, seq int64) bool { return s.order == unnumbered || n == seq%1e8 }

// heard judges a frame of the JSON protocol. What has no place in a benchmark, a
// gap or an error, fails it.
func (r *reader) heard(head, body []byte, s *shape) error {
	if head[0] != 0x81 {
		return fmt.Errorf("frame header % x after %d messages: want text", head, r.frames)
	}
	switch {
	case bytes.HasPrefix(body, jsonWelcome), bytes.HasPrefix(body, jsonSubscribed):
	case bytes.HasPrefix(body, jsonAck):
		r.acks++
	case bytes.HasPrefix(body, jsonMessage):
		if n, ok := s.message(body); !ok || !r.due(n, s) {
			return fmt.Errorf("message %.300q where number %d should be", body, r.first+r.frames)
		}
		r.frames++
	default:
		return fmt.Errorf("%.300q after %d messages", body, r.frames)
	}
	return nil
}
