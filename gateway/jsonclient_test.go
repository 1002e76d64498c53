package gateway_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"warren/gateway"
)

// offerJSON is the header line of a client of the JSON protocol.
const offerJSON = "Sec-WebSocket-Protocol: warren.v1.json"

// jsonConn is a client of the JSON protocol, by hand.
type jsonConn struct {
	*rawConn
	listener // of the same connection
	id       gateway.ConnID
}

// answer is a frame from the node.
type answer struct {
	Type, Channel, ID, MID, From, To string
	Connection, Node, User           string
	Code, Message                    string
	Root, Gap                        bool
	Ref, Data                        json.RawMessage
	Text, Base64                     *string
	At                               int64

	whole string // the frame's text
}

// openJSON connects a client and reads its welcome.
func openJSON(t *testing.T, n *node, path string) *jsonConn { return openJSONWithin(t, n, path, 0) }

// openJSONWithin bounds its receive buffer, in bytes, unless window is 0.
func openJSONWithin(t *testing.T, n *node, path string, window int) *jsonConn {
	t.Helper()
	c := approachJSON(t, n, path, window)
	c.welcomed()
	return c
}

// approachJSON asks, and doesn't wait for the answer.
func approachJSON(t *testing.T, n *node, path string, window int) *jsonConn {
	t.Helper()
	c := dialWithin(t, n, window)
	c.put(upgradeHead(path, offerJSON))
	return &jsonConn{rawConn: c, listener: listener{conn: c.TCPConn, in: c.in}}
}

func dialWithin(t *testing.T, n *node, window int) *rawConn {
	t.Helper()
	d := net.Dialer{}
	if window > 0 {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var err error
			if e := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, window)
			}); e != nil {
				return e
			}
			return err
		}
	}
	return dialRaw(t, n, d)
}

// welcomed reads the answer to the handshake, and the first frame.
func (c *jsonConn) welcomed() {
	c.t.Helper()
	r, err := http.ReadResponse(c.rawConn.in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols || r.Header.Get("Sec-WebSocket-Protocol") != "warren.v1.json" {
		c.t.Fatalf("handshake: %v, %v", r, err)
	}
	a := c.answer("welcome")
	if _, err := fmt.Sscan(a.Connection, &c.id); err != nil || c.id == 0 {
		c.t.Fatalf("a welcome without a connection: %s", a.whole)
	}
}

// ask sends commands in one go.
func (c *jsonConn) ask(commands ...string) {
	c.t.Helper()
	var b strings.Builder
	for _, s := range commands {
		b.WriteString(masked(rawFin|rawText, s))
	}
	c.put(b.String())
}

// read is the next frame. Any goroutine.
func (c *jsonConn) read() (a answer, err error) {
	b, err := c.listener.next()
	if err != nil {
		return answer{}, err
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	a.whole = string(b)
	if err := d.Decode(&a); err != nil || d.InputOffset() != int64(len(b)) {
		return answer{}, fmt.Errorf("no frame of the protocol: %.200q, %w", b, err)
	}
	return a, nil
}

// answer wants a frame of this type next.
func (c *jsonConn) answer(kind string) answer {
	c.t.Helper()
	a, err := c.read()
	if err != nil || a.Type != kind {
		c.t.Fatalf("instead of %s: %s %v", kind, a.whole, err)
	}
	return a
}

// says wants these frames next, byte for byte.
func (c *jsonConn) says(frames ...string) {
	c.t.Helper()
	for _, want := range frames {
		b, err := c.listener.next()
		if err != nil || string(b) != want {
			c.t.Fatalf("got %.300q, %v; want %.300q", b, err, want)
		}
	}
}

// ends wants a close frame next.
func (c *jsonConn) ends(code int, reason string) {
	c.t.Helper()
	if b, err := c.listener.next(); err == nil || err.Error() != fmt.Sprintf("closed with %d %q", code, reason) {
		c.t.Fatalf("instead of a close frame with %d %q: %.200q, %v", code, reason, b, err)
	}
}

// quiet wants nothing before the answer to a ping.
func (c *jsonConn) quiet() {
	c.t.Helper()
	c.ask(`{"type":"ping","ref":"quiet?"}`)
	if a := c.answer("pong"); string(a.Ref) != `"quiet?"` {
		c.t.Fatalf("got %s", a.whole)
	}
}

// streamed is message i of a stream, of which an exchange gives the ids, with a
// JSON number for text.
func streamed(channel string, i int) gateway.Message {
	return gateway.Message{
		Channel: channel, Payload: fmt.Append(nil, i), Text: true,
		ID: streamID(i), MessageID: gateway.MessageID{Publisher: "n.b", Seq: uint64(i + 1)}, At: sentAt,
	}
}

// streamID begins with a block of offsets, so that places in it have names.
func streamID(i int) gateway.ID { return gateway.ID{Offset: uint64(1024 + i), Check: uint32(7 + i)} }

// streamPlace is behind message i, for clients of any channel.
func streamPlace(i int) gateway.ID {
	first := (1024+i)&^255 - 1024
	return gateway.ID{Offset: uint64(1024 + i), Check: streamID(first).Check}
}

var sentAt = time.UnixMilli(time.Now().UnixMilli())

// heard is message i as clients of its channel hear it.
func heard(channel string, i int) string {
	return fmt.Sprintf(`{"type":"message","channel":"%s","id":"%v","mid":"n.b-%d","at":%d,"data":%d}`, channel, streamID(i), i+1, sentAt.UnixMilli(), i)
}

// heardAtRoot is the same for root's.
func heardAtRoot(channel string, i int) string {
	return strings.Replace(heard(channel, i), `","id"`, `","root":true,"id"`, 1)
}

// subscribed is the answer to a subscription that begins behind id.
func subscribed(channel string, id gateway.ID, gap bool) string {
	s := fmt.Sprintf(`{"type":"subscribed","channel":"%s","id":"%v"`, channel, id)
	if gap {
		s += `,"gap":true`
	}
	return s + "}"
}

func (c *jsonConn) subscribe(channel string, id gateway.ID) {
	c.t.Helper()
	s := `{"type":"subscribe","channel":"` + channel + `"`
	if !id.IsZero() {
		s += `,"since":"` + id.String() + `"`
	}
	c.ask(s + "}")
}
