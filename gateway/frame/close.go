package frame

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Errors of ParseClose.
var (
	ErrCloseBody   = errors.New("close frame with a body of one byte")
	ErrCloseCode   = errors.New("close code that no endpoint may send")
	ErrCloseReason = errors.New("close reason is not UTF-8")
)

// ParseClose reads the body of a peer's close frame (RFC 6455, 5.5.1 and 7.4).
// An empty body is code 0. A code that may not travel is ErrCloseCode: below
// 1000, 1004 to 1006, 1015 and up to 2999 but for the registered ones, and from
// 5000 on.
func ParseClose(body []byte) (code ws.StatusCode, err error) {
	switch len(body) {
	case 0:
		return 0, nil
	case 1:
		return 0, ErrCloseBody
	}
	code = ws.StatusCode(binary.BigEndian.Uint16(body))
	switch {
	case code >= 1000 && code <= 1014 && (code < 1004 || code > 1006):
	case code >= 3000 && code <= 4999:
	default:
		return code, ErrCloseCode
	}
	if !utf8.Valid(body[2:]) {
		return code, ErrCloseReason
	}
	return code, nil
}
