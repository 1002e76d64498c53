// Package place prints the places that clients resume behind.
package place

import "strconv"

// ID is a place in the order of deliveries. Like gateway.ID, to and from which
// it converts.
type ID struct {
	Offset uint64
	Check  uint32 // 0: no place
}

// IsZero says that it is no place.
func (id ID) IsZero() bool { return id.Check == 0 }

// Append appends "<offset>-<check>", the check in eight lower-case hex digits.
func (id ID) Append(dst []byte) []byte {
	const hex = "0123456789abcdef"
	dst = strconv.AppendUint(dst, id.Offset, 10)
	dst = append(dst, '-')
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, hex[id.Check>>shift&15])
	}
	return dst
}
