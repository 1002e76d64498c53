package request

import (
	"bytes"
	"iter"
)

// Values are the values of all fields of this name in a head that Parse has
// accepted, in their order, without the white space around them. They point into
// head; what is behind its end is not looked at. The case of name doesn't matter.
func Values(head []byte, name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		_, rest, err := cutLine(head) // the request line
		for err == nil {
			var line []byte
			line, rest, err = cutLine(rest)
			if len(line) == 0 {
				return
			}
			colon := bytes.IndexByte(line, ':')
			if colon >= 0 && equalFold(line[:colon], name) && !yield(trim(line[colon+1:])) {
				return
			}
		}
	}
}
