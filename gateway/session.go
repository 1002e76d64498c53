package gateway

import (
	"bytes"
	"slices"

	"github.com/gobwas/ws"

	"warren/gateway/jsonv1"
)

// session is what a client of the JSON protocol has beside its connection.
type session struct {
	seats   []*seat
	active  int            // of seats: counted as receiving
	turn    int            // of seats: the one written last
	waits   []subscription // for messages that are still to come
	private []byte         // frames for it alone, while nothing is owed to it
	secret  string         // Message.Session

	errors   int    // since
	errorsAt uint32 // shard.now of the first of them
}

// errorsMost is how many errors within errorsMillis close a connection.
const (
	errorsMost   = 100
	errorsMillis = 60_000
)

// command does what a frame of a client of the JSON protocol asks for.
func (s *shard) command(c *client, text bool, frame []byte) {
	if !text {
		s.refuseCommand(c, &jsonv1.Error{Code: jsonv1.CodeBadJSON, Message: "a binary frame: commands are JSON in text frames"})
		return
	}
	cmd, err := s.parser.Parse(frame, s.g.o.WebSocket.MaxMessageSize)
	if err == nil {
		err = s.do(c, &cmd, frame)
	}
	if err != nil {
		s.refuseCommand(c, err)
	}
}

// do does what cmd, which is frame parsed, asks for.
func (s *shard) do(c *client, cmd *jsonv1.Command, frame []byte) *jsonv1.Error {
	if cmd.Kind == jsonv1.Publish {
		return s.publishCommand(c, cmd, frame)
	}
	if c.state != open {
		return nil // its close frame has left: all but what it publishes is moot
	}
	switch cmd.Kind {
	case jsonv1.Subscribe:
		return s.subscribe(c, cmd)
	case jsonv1.Unsubscribe:
		return s.unsubscribe(c, cmd)
	default:
		id := s.writtenTo(c)
		s.tell(c, s.say(func(b []byte) []byte { return jsonv1.AppendPong(b, cmd.Ref, id.Offset, id.Check) }))
		return nil
	}
}

// refuseCommand tells a client what was wrong, and gives it up after too much of
// that.
func (s *shard) refuseCommand(c *client, err *jsonv1.Error) {
	s.g.count.commandErrors.Add(1)
	if c.state != open {
		return
	}
	s.tell(c, s.say(func(b []byte) []byte { return jsonv1.AppendError(b, err) }))
	if c.state != open {
		return
	}
	j := c.json
	if j.errors == 0 || int32(s.now-j.errorsAt) >= errorsMillis {
		j.errors, j.errorsAt = 0, s.now
	}
	if j.errors++; j.errors >= errorsMost {
		s.fail(c, ws.StatusPolicyViolation, reasonErrors)
	}
}

// publishCommand publishes, or holds the frame until there is room.
func (s *shard) publishCommand(c *client, cmd *jsonv1.Command, frame []byte) *jsonv1.Error {
	if s.g.o.WebSocket.ReadOnly {
		return &jsonv1.Error{Code: jsonv1.CodePublishingOff, Message: "clients of this node don't publish", Ref: cmd.Ref}
	}
	return s.offer(c, s.message(cmd, c.id, c.json.secret), kindCommand, frame, cmd.Ref)
}

// message is what cmd publishes.
func (s *shard) message(cmd *jsonv1.Command, from ConnID, secret string) Message {
	m := Message{
		Channel: string(cmd.Channel), Payload: cmd.Payload, Text: cmd.Text,
		Client: from, Session: secret, ClientID: string(cmd.ID),
	}
	if cmd.Ref != nil {
		ref := bytes.Clone(cmd.Ref)
		m.Settled = func(id MessageID, err error) {
			s.post(note{kind: noteTell, to: from, text: acknowledge(ref, id, err)})
		}
	}
	return m
}

// acknowledge is the frame that says what became of a message.
func acknowledge(ref []byte, id MessageID, err error) []byte {
	b := openText(nil)
	if err != nil {
		b = jsonv1.AppendError(b, notAccepted(err, ref))
	} else {
		b = jsonv1.AppendAck(b, ref, id.Publisher, id.Seq)
	}
	return closeText(b, 0)
}

func notAccepted(err error, ref []byte) *jsonv1.Error {
	return &jsonv1.Error{Code: jsonv1.CodeNotAccepted, Message: err.Error(), Ref: ref}
}

// seatOn is c's seat on a channel, or -1.
func (j *session) seatOn(name []byte) int {
	return slices.IndexFunc(j.seats, func(x *seat) bool { return x.audience.edition.channel.name == string(name) })
}

// waitsFor is c's subscription to a channel that waits, or -1.
func (j *session) waitsFor(name []byte) int {
	return slices.IndexFunc(j.waits, func(w subscription) bool { return w.channel == string(name) })
}
