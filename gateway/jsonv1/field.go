package jsonv1

// field is one that some command has.
type field int

const (
	fieldType field = iota
	fieldRef
	fieldChannel
	fieldSince
	fieldHistory
	fieldID
	fieldData
	fieldText
	fieldBase64
	fieldCount

	unknown field = -1
)

// fields holds a frame's tokens, nil where there is none. Values of fields that
// no command has are not kept.
type fields struct {
	token [fieldCount][]byte
	twice [fieldCount]bool
}

// fieldNamed is the field of this name, as it stands between its quotes.
func fieldNamed(token []byte) field {
	const longest = 7 * len(`\u0000`)
	if len(token) > longest {
		return unknown
	}
	var buf [longest]byte
	name, ok := unescape(buf[:0], token)
	if !ok {
		return unknown
	}
	switch string(name) {
	case "type":
		return fieldType
	case "ref":
		return fieldRef
	case "channel":
		return fieldChannel
	case "since":
		return fieldSince
	case "history":
		return fieldHistory
	case "id":
		return fieldID
	case "data":
		return fieldData
	case "text":
		return fieldText
	case "base64":
		return fieldBase64
	}
	return unknown
}

// names of the fields, for errors.
var names = [fieldCount]string{"type", "ref", "channel", "since", "history", "id", "data", "text", "base64"}

// scan takes a whole frame apart.
func (f *fields) scan(frame []byte) *Error {
	s := scanner{b: frame}
	if !f.object(&s) {
		return syntaxError(&s)
	}
	return nil
}

// object wants one object with nothing but space around it.
func (f *fields) object(s *scanner) bool {
	s.space()
	if !s.take('{') {
		return false
	}
	s.space()
	for more := s.peek() != '}'; more; {
		if !f.field(s) {
			return false
		}
		s.space()
		if more = s.take(','); more {
			s.space()
		}
	}
	if !s.take('}') {
		return false
	}
	s.space()
	return s.at == len(s.b)
}

func (f *fields) field(s *scanner) bool {
	from := s.at
	if !s.str() {
		return false
	}
	which := fieldNamed(s.b[from+1 : s.at-1])
	s.space()
	if !s.take(':') {
		return false
	}
	s.space()
	from = s.at
	if !s.value(MaxDepth - 1) { // the frame's object is one level
		return false
	}
	if which != unknown {
		if f.token[which] != nil {
			f.twice[which] = true
		}
		f.token[which] = s.b[from:s.at]
	}
	return true
}
