package jsonv1

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends what a string's token without its quotes means, with a
// token that was scanned. ok is false if a surrogate is alone: UTF-8 has no
// way to say that.
func unescape(dst, token []byte) (_ []byte, ok bool) {
	for {
		i := bytes.IndexByte(token, '\\')
		if i < 0 {
			return append(dst, token...), true
		}
		dst = append(dst, token[:i]...)
		c := token[i+1]
		token = token[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(token)
			token = token[4:]
			if utf16.IsSurrogate(r) {
				if len(token) < 6 || token[0] != '\\' || token[1] != 'u' {
					return dst, false
				}
				if r = utf16.DecodeRune(r, hex4(token[2:])); r == utf8.RuneError {
					return dst, false
				}
				token = token[6:]
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}

func hex4(b []byte) (r rune) {
	for _, c := range b[:4] {
		d, _ := hexDigit(c)
		r = r<<4 | d
	}
	return r
}
