// Package eventstream writes server-sent events (WHATWG HTML, 9.2).
package eventstream

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"warren/gateway/internal/place"
)

// Comment is a line that clients ignore: it keeps the connection alive.
const Comment = ":\n\n"

// AppendText appends an event that has the text for data, which must be valid
// UTF-8. Clients see its line ends (CRLF, CR or LF) as LF. It has no id if
// check is 0.
func AppendText(dst []byte, offset uint64, check uint32, payload []byte) []byte {
	dst = appendID(dst, offset, check)
	for more := true; more; {
		line, rest := payload, []byte(nil)
		end := bytes.IndexAny(payload, "\r\n")
		if more = end >= 0; more {
			line, rest = payload[:end], payload[end+1:]
			if payload[end] == '\r' && len(rest) > 0 && rest[0] == '\n' {
				rest = rest[1:]
			}
		}
		dst = append(dst, "data: "...)
		dst = append(dst, line...)
		dst = append(dst, '\n')
		payload = rest
	}
	return append(dst, '\n')
}

// AppendBinary appends an event named binary, with base64 (RFC 4648, 4) for
// data. It has no id if check is 0.
func AppendBinary(dst []byte, offset uint64, check uint32, payload []byte) []byte {
	dst = appendID(dst, offset, check)
	dst = append(dst, "event: binary\ndata: "...)
	dst = base64.StdEncoding.AppendEncode(dst, payload)
	return append(dst, "\n\n"...)
}

// AppendGap appends an event named gap: what lay behind from and up to to
// can't be given, or not all of it. Its data is a JSON object with the two; a
// zero ID is left out. It leaves the last event id as it is.
func AppendGap(dst []byte, from, to place.ID) []byte {
	dst = append(dst, "event: gap\ndata: {"...)
	if !from.IsZero() {
		dst = append(dst, `"from":"`...)
		dst = from.Append(dst)
		dst = append(dst, '"')
	}
	if !to.IsZero() {
		if !from.IsZero() {
			dst = append(dst, ',')
		}
		dst = append(dst, `"to":"`...)
		dst = to.Append(dst)
		dst = append(dst, '"')
	}
	return append(dst, "}\n\n"...)
}

// AppendPlace appends what sets the last event id without an event; nothing if
// check is 0.
func AppendPlace(dst []byte, offset uint64, check uint32) []byte {
	if check == 0 {
		return dst
	}
	return append(appendID(dst, offset, check), '\n')
}

// AppendRetry appends what sets the time, not negative, after which clients
// come back.
func AppendRetry(dst []byte, ms int) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, int64(ms), 10)
	return append(dst, "\n\n"...)
}

// appendID appends the line that sets the last event id, if there is one.
func appendID(dst []byte, offset uint64, check uint32) []byte {
	id := place.ID{Offset: offset, Check: check}
	if id.IsZero() {
		return dst
	}
	dst = append(dst, "id: "...)
	dst = id.Append(dst)
	return append(dst, '\n')
}
