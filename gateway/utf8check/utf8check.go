// Package utf8check validates UTF-8 that comes in chunks, as fragments of a
// WebSocket text message do (RFC 6455, 5.6 and 8.1).
package utf8check

import "unicode/utf8"

// Validator remembers what a chunk left unfinished: at most three bytes. The
// zero value is ready for a new text.
type Validator struct {
	open [utf8.UTFMax]byte // the rune begun
	n    uint8             // bytes of it, or failed
}

const failed = 0xff

// Write takes the next bytes. It is false as soon as a byte was seen that no
// later ones can make valid: not only at the end of a sequence, or of p. It
// stays false until Reset.
func (v *Validator) Write(p []byte) bool {
	if v.n == failed {
		return false
	}
	for v.n > 0 && len(p) > 0 {
		v.open[v.n] = p[0]
		v.n++
		p = p[1:]
		// An invalid beginning counts as full.
		if !utf8.FullRune(v.open[:v.n]) {
			continue
		}
		if !utf8.Valid(v.open[:v.n]) {
			v.n = failed
			return false
		}
		v.n = 0
	}
	whole := len(p) - unfinished(p)
	if !utf8.Valid(p[:whole]) {
		v.n = failed
		return false
	}
	if whole < len(p) {
		v.n = uint8(copy(v.open[:], p[whole:]))
	}
	return true
}

// unfinished is how many bytes at the end of p begin a rune that may still
// become valid: 0 to 3.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// Complete says whether the text may end here: all of it is valid and no rune
// is unfinished.
func (v *Validator) Complete() bool { return v.n == 0 }

// Reset makes v ready for a new text.
func (v *Validator) Reset() { v.n = 0 }
