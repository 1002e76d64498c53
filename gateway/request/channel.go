package request

// MaxChannel is the most bytes a channel name may have. (An AMQP routing key
// may have 255.)
const MaxChannel = 200

// Place says where a path leads.
type Place int

const (
	Elsewhere Place = iota // not to a WebSocket
	Root                   // to root
	Named                  // to a channel, if the name is valid
)

// Channel says where path leads, given the path of root ("/ws"). Paths are
// compared byte by byte: no decoding, no folding of case, no cleaning of "..".
// The name is all that follows prefix and a slash. It is not checked: for
// "/ws/" it is empty, which is no valid name.
func Channel(path []byte, prefix string) (name []byte, where Place) {
	n := len(prefix)
	switch {
	case len(path) < n || string(path[:n]) != prefix:
		return nil, Elsewhere
	case len(path) == n:
		return nil, Root
	case path[n] != '/':
		return nil, Elsewhere
	}
	return path[n+1:], Named
}

// ValidChannel says whether clients can ask for a channel of this name: 1 to
// MaxChannel bytes of A-Z a-z 0-9 . _ : - ~ and /, which separates segments
// that aren't empty.
func ValidChannel[T ~string | ~[]byte](name T) bool {
	if len(name) == 0 || len(name) > MaxChannel {
		return false
	}
	segment := false // at least one byte of it was seen
	for i := range len(name) {
		switch c := name[i]; {
		case class[c]&isChan != 0:
			segment = true
		case c == '/' && segment:
			segment = false
		default:
			return false
		}
	}
	return segment
}
