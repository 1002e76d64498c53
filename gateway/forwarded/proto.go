package forwarded

import "iter"

// Proto is what a request, which came from a trusted peer, used on its way to
// the nearest proxy that says so: "http", "https", or "" if that is not known.
// xfp and fwd are the values of its fields X-Forwarded-Proto and Forwarded, one a
// line, top to bottom; nil if there are none. It is the last in a list that
// counts, as in Client. If both fields say something, and not the same, nothing
// is known.
//
// ws and wss, which some proxies say of a WebSocket, are http and https.
func Proto(xfp, fwd iter.Seq[[]byte]) string {
	said := lastElement(xfp, cutAddress)
	e, _ := parseElement(lastElement(fwd, cutElement))
	switch {
	case len(e.proto) == 0:
		return scheme(said)
	case len(said) == 0 || scheme(said) == scheme(e.proto):
		return scheme(e.proto)
	}
	return ""
}

// lastElement is the last one of a field that isn't empty.
func lastElement(lines iter.Seq[[]byte], cut func([]byte) (rest, element []byte)) []byte {
	if lines == nil {
		return nil
	}
	var last []byte
	for line := range lines {
		for len(line) > 0 {
			var element []byte
			line, element = cut(line)
			if element = trim(element); len(element) > 0 {
				last = element
				break
			}
		}
	}
	return last
}

func scheme(b []byte) string {
	switch {
	case equalFold(b, "https"), equalFold(b, "wss"):
		return "https"
	case equalFold(b, "http"), equalFold(b, "ws"):
		return "http"
	}
	return ""
}
