package gateway

import (
	"strconv"

	"warren/gateway/internal/place"
)

// ID is a delivered message's place in the order of deliveries, by which a
// client resumes behind it. Printed as "<offset>-<check>", the check in eight
// hex digits.
type ID struct {
	Offset uint64
	Check  uint32 // tells apart messages that were at this offset; never 0 in an ID
}

// IsZero says that it names no message.
func (id ID) IsZero() bool { return id.Check == 0 }

// String is empty for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return string(place.ID(id).Append(nil))
}

const checkLen = 8

// ParseID reads what String prints, and nothing else.
func ParseID[T ~string | ~[]byte](text T) (id ID, ok bool) {
	dash := len(text) - checkLen - 1
	if dash < 1 || dash > 20 || text[dash] != '-' || dash > 1 && text[0] == '0' {
		return ID{}, false
	}
	for i := range dash {
		if text[i] < '0' || text[i] > '9' {
			return ID{}, false
		}
	}
	offset, err := strconv.ParseUint(string(text[:dash]), 10, 64)
	if err != nil {
		return ID{}, false
	}
	for _, c := range []byte(text[dash+1:]) {
		switch {
		case '0' <= c && c <= '9':
			id.Check = id.Check<<4 | uint32(c-'0')
		case 'a' <= c && c <= 'f':
			id.Check = id.Check<<4 | uint32(c-'a'+10)
		default:
			return ID{}, false
		}
	}
	id.Offset = offset
	return id, id.Check != 0
}
