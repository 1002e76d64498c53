package jsonv1

// scanner goes through JSON (RFC 8259) once, byte by byte. Its methods stop in
// front of the first byte that can't be there, and say false. It doesn't check
// UTF-8.
type scanner struct {
	b    []byte
	at   int
	deep bool // it stopped for its depth
}

// validJSON says whether b is one value, nested at most so many levels deep.
func validJSON(b []byte, levels int) bool {
	s := scanner{b: b}
	s.space()
	if !s.value(levels) {
		return false
	}
	s.space()
	return s.at == len(b)
}

// peek is the next byte, 0 at the end: that is nowhere allowed.
func (s *scanner) peek() byte {
	if s.at == len(s.b) {
		return 0
	}
	return s.b[s.at]
}

// take skips the next byte if it is c.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// value skips a value, nested at most so many levels deep (64 can be held).
func (s *scanner) value(levels int) bool {
	var objects uint64 // a bit a level, the innermost lowest: it's an object
	depth := 0
next:
	for {
		switch c := s.peek(); c {
		case '{', '[':
			if depth == levels {
				s.deep = true
				return false
			}
			depth++
			objects <<= 1
			if c == '{' {
				objects |= 1
			}
			s.at++
			s.space()
			if s.peek() != c+2 { // its closing bracket, in ASCII
				if c == '{' && !s.name() {
					return false
				}
				continue
			}
		default:
			if !s.scalar() {
				return false
			}
		}
		// A value is behind us, or an empty container begun.
		for ; depth > 0; depth-- {
			s.space()
			object := objects&1 != 0
			switch c := s.peek(); {
			case c == ',':
				s.at++
				s.space()
				if object && !s.name() {
					return false
				}
				continue next
			case c == '}' && object, c == ']' && !object:
				s.at++
				objects >>= 1
			default:
				return false
			}
		}
		return true
	}
}

// name skips a field's name, the colon, and the space around it.
func (s *scanner) name() bool {
	if !s.str() {
		return false
	}
	s.space()
	if !s.take(':') {
		return false
	}
	s.space()
	return true
}

// scalar skips what is neither object nor array.
func (s *scanner) scalar() bool {
	switch s.peek() {
	case '"':
		return s.str()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *scanner) literal(word string) bool {
	for i := range len(word) {
		if !s.take(word[i]) {
			return false
		}
	}
	return true
}

// number skips a number (RFC 8259, 6).
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

// digits skips one or more.
func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.b) && isDigit(s.b[s.at]) {
		s.at++
	}
	return s.at > from
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// str skips a string (RFC 8259, 7). A surrogate may be alone.
func (s *scanner) str() bool {
	if !s.take('"') {
		return false
	}
	for {
		at := s.at // in a register
		for at < len(s.b) && plain[s.b[at]] {
			at++
		}
		s.at = at
		switch s.peek() {
		case '"':
			s.at++
			return true
		case '\\':
			s.at++
			if !s.escape() {
				return false
			}
		default:
			return false
		}
	}
}

// escape skips what follows a backslash.
func (s *scanner) escape() bool {
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
		return true
	case 'u':
		s.at++
		for range 4 {
			if _, ok := hexDigit(s.peek()); !ok {
				return false
			}
			s.at++
		}
		return true
	}
	return false
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0'), true
	case 'a' <= c && c <= 'f':
		return rune(c - 'a' + 10), true
	case 'A' <= c && c <= 'F':
		return rune(c - 'A' + 10), true
	}
	return 0, false
}

// plain are the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return t
}()
