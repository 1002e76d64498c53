package request

// Classes of bytes, one bit each.
const (
	isToken  = 1 << iota // tchar (RFC 9110, 5.6.2)
	isText               // what a field value may hold (RFC 9110, 5.5)
	isTarget             // visible ASCII but "#" (RFC 9112, 3.2)
	isHost               // of a registered name (RFC 3986, 3.2.2), see below
	isIPv6               // between "[" and "]"
	isChan               // of a channel name, "/" excepted
	isDigit
	isSession // base64url (RFC 4648, 5)
)

// A host may hold "," and "%" by the grammar. No name in use does, but two
// Host fields joined by a proxy would have a comma.
var class = func() (t [256]uint8) {
	const (
		lower  = "abcdefghijklmnopqrstuvwxyz"
		upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		digits = "0123456789"
	)
	mark := func(bit uint8, chars string) {
		for i := range len(chars) {
			t[chars[i]] |= bit
		}
	}
	mark(isToken, lower+upper+digits+"!#$%&'*+-.^_`|~")
	mark(isHost, lower+upper+digits+"-._~!$&'()*+;=")
	mark(isIPv6, digits+"abcdefABCDEF:.")
	mark(isChan, lower+upper+digits+"._:-~")
	mark(isDigit, digits)
	mark(isSession, lower+upper+digits+"-_")
	for c := range t {
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= isText
		}
		if c > ' ' && c < 0x7f && c != '#' {
			t[c] |= isTarget
		}
	}
	return t
}()

// all says whether every byte of s is of the class. It is true for none.
func all[T ~string | ~[]byte](s T, bit uint8) bool {
	for i := range len(s) {
		if class[s[i]]&bit == 0 {
			return false
		}
	}
	return true
}

// equalFold compares ignoring the case of ASCII letters only. bytes.EqualFold
// folds by Unicode, where the Kelvin sign is a "k".
func equalFold[A, B ~string | ~[]byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// trim cuts optional white space (RFC 9110, 5.6.3) off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
