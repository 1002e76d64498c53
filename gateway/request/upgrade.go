package request

import (
	"bytes"
	"encoding/base64"
)

// upgrade is what the Upgrade and Connection fields say.
type upgrade struct {
	websocket bool // one of the protocols asked for
	alone     bool // and the only one
	asked     bool // Upgrade was seen
	lists     int  // lines of Connection
	listed    int  // those that are token lists with "upgrade"
}

// protocol takes an Upgrade field (RFC 9110, 7.8).
func (u *upgrade) protocol(value []byte) {
	found, _ := listHas(value, "websocket")
	u.websocket = u.websocket || found
	u.alone = !u.asked && equalFold(value, "websocket")
	u.asked = true
}

// connection takes a Connection field (RFC 9110, 7.6.1).
func (u *upgrade) connection(value []byte) {
	u.lists++
	if found, ok := listHas(value, "upgrade"); found && ok {
		u.listed++
	}
}

// checkUpgrade judges the request as an opening handshake (RFC 6455, 4.2.1).
// What it lets pass, ws.Upgrader accepts.
func (p *parser) checkUpgrade() *Error {
	switch {
	case string(p.head.Method) != "GET":
		return errMethod
	case p.head.Minor == 0:
		return errHTTP10
	case p.up.listed == 0:
		return errConnection
	case p.up.listed != p.up.lists:
		// Lawful, but ws.Upgrader wants "upgrade" in every line.
		return errConnections
	case !p.up.alone:
		return errProtocols
	case p.seen&(fieldContentLength|fieldTransferEncoding) != 0:
		return errBody
	case len(p.head.Host) == 0:
		return errHostMissing
	case len(p.version) == 0:
		return errVersionMissing
	case string(p.version) != "13":
		return errVersion
	case len(p.head.Key) == 0:
		return errKeyMissing
	case !validKey(p.head.Key):
		return errKey
	}
	return nil
}

// SubprotocolJSON is the one subprotocol there is.
const SubprotocolJSON = "warren.v1.json"

// offersJSON says whether a Sec-WebSocket-Protocol field lists it. Names are compared byte by byte (RFC 6455, 4.1).
func offersJSON(list []byte) bool {
	for more := true; more; {
		var item []byte
		item, list, more = bytes.Cut(list, []byte{','})
		if string(trim(item)) == SubprotocolJSON {
			return true
		}
	}
	return false
}

var keyEncoding = base64.StdEncoding.Strict()

// validKey says whether key is base64 of 16 bytes.
func validKey(key []byte) bool {
	const size = 16
	var nonce [size + 2]byte
	if len(key) != base64.StdEncoding.EncodedLen(size) {
		return false
	}
	n, err := keyEncoding.Decode(nonce[:], key)
	return err == nil && n == size
}

// listHas looks for a token in a comma-separated list (RFC 9110, 5.6.1),
// ignoring case. ok says that the list holds nothing but tokens.
func listHas(list []byte, want string) (found, ok bool) {
	ok = true
	for more := true; more; {
		var item []byte
		item, list, more = bytes.Cut(list, []byte{','})
		item = trim(item)
		found = found || equalFold(item, want)
		ok = ok && all(item, isToken)
	}
	return found, ok
}
