package jsonv1

import "unicode/utf8"

// appendString appends s as a JSON string. Each byte that is not of valid UTF-8
// becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s, &ascii)
	return append(dst, '"')
}

// appendText appends s, which must be valid UTF-8, as a JSON string.
func appendText(dst, s []byte) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s, &plain)
	return append(dst, '"')
}

// ascii are those of plain that are no part of a longer sequence in UTF-8.
var ascii = func() (t [256]bool) {
	copy(t[:utf8.RuneSelf], plain[:])
	return t
}()

// appendEscaped appends a string without the quotes. What is not in stands is
// looked at, and escaped if need be.
func appendEscaped[T ~string | ~[]byte](dst []byte, s T, stands *[256]bool) []byte {
	from := 0 // of what goes as it is
	for i := 0; i < len(s); {
		if stands[s[i]] {
			i++
			continue
		}
		n := sequence(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if n == 0 {
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, s[i])
			i++
			from = i
		}
		i += n
	}
	return append(dst, s[from:]...)
}

// sequence is the length of the UTF-8 sequence of several bytes at the start of
// s, 0 if there is none.
func sequence(s string) int {
	if _, n := utf8.DecodeRuneInString(s); n > 1 {
		return n
	}
	return 0
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\r':
		return append(dst, `\r`...)
	case c == '\t':
		return append(dst, `\t`...)
	case c >= utf8.RuneSelf:
		return utf8.AppendRune(dst, utf8.RuneError)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
