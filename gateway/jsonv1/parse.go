package jsonv1

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"warren/gateway/request"
)

// Parser reads what clients send. One serves any number of clients, one frame at
// a time. It keeps a buffer of at most the longest frame. The zero value is ready.
type Parser struct {
	scratch []byte // of the last command: what didn't stand in its frame as it is
}

// Parse reads one frame, whose UTF-8 was checked. A payload may have maxPayload
// bytes. The time it takes is linear in the frame, and nothing is allocated for
// a good one once scratch has grown.
//
// Of several faults the first is told: in the JSON, a field twice, in the type,
// the ref, the channel, the others.
func (p *Parser) Parse(frame []byte, maxPayload int) (Command, *Error) {
	var f fields
	if err := f.scan(frame); err != nil {
		return Command{}, err
	}
	p.scratch = p.scratch[:0]
	c := Command{History: -1}
	err := p.command(&c, &f, maxPayload)
	if err != nil {
		return Command{}, &Error{Code: err.Code, Message: err.Message, Ref: c.Ref}
	}
	return c, nil
}

// command fills in c. Its errors have no Ref yet.
func (p *Parser) command(c *Command, f *fields, maxPayload int) *Error {
	refErr := c.ref(f)
	for which, twice := range f.twice {
		if twice {
			return twiceError[which]
		}
	}
	if err := p.kind(c, f); err != nil {
		return err
	}
	if refErr != nil || c.Kind == Ping {
		return refErr
	}
	if err := p.channel(c, f); err != nil {
		return err
	}
	switch c.Kind {
	case Subscribe:
		return p.resume(c, f)
	case Publish:
		if err := p.id(c, f); err != nil {
			return err
		}
		return p.payload(c, f, maxPayload)
	}
	return nil
}

// ref reads "ref". Only one that stands there once can be given back.
func (c *Command) ref(f *fields) *Error {
	token := f.optional(fieldRef)
	if token == nil || f.twice[fieldRef] {
		return nil
	}
	if token[0] == '"' {
		inner := token[1 : len(token)-1]
		if len(inner) > MaxRef {
			return errRef
		}
		var buf [MaxRef]byte
		if _, ok := unescape(buf[:0], inner); !ok {
			return errSurrogate
		}
	} else if !isWhole(token) {
		return errRef
	}
	c.Ref = token
	return nil
}

// isWhole says whether a value's token is a whole number, without fraction or
// exponent, that every IEEE 754 double between has: up to 2^53 either way.
func isWhole(token []byte) bool {
	digits := bytes.TrimPrefix(token, []byte{'-'})
	const most = "9007199254740992"
	if len(digits) > len(most) || len(digits) == len(most) && string(digits) > most {
		return false
	}
	return allDigits(digits)
}

func allDigits(token []byte) bool {
	for _, c := range token {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

func (p *Parser) kind(c *Command, f *fields) *Error {
	token := f.optional(fieldType)
	if token == nil {
		return errNoType
	}
	text, err := p.text(token, errType)
	if err != nil {
		return err
	}
	switch string(text) {
	case "subscribe":
		c.Kind = Subscribe
	case "unsubscribe":
		c.Kind = Unsubscribe
	case "publish":
		c.Kind = Publish
	case "ping":
		c.Kind = Ping
	default:
		return errType
	}
	return nil
}

func (p *Parser) channel(c *Command, f *fields) (err *Error) {
	token := f.optional(fieldChannel)
	if token == nil {
		return errNoChannel
	}
	if c.Channel, err = p.text(token, errChannelKind); err != nil {
		return err
	}
	if len(c.Channel) > 0 && !request.ValidChannel(c.Channel) {
		return errChannel
	}
	return nil
}

// resume reads where a subscription begins.
func (p *Parser) resume(c *Command, f *fields) (err *Error) {
	if token := f.optional(fieldSince); token != nil {
		if c.Since, err = p.text(token, errSince); err != nil {
			return err
		}
	}
	if token := f.optional(fieldHistory); token != nil {
		const maxDigits = 9 // as in the query of the URL
		if len(token) > maxDigits || !allDigits(token) {
			return errHistory
		}
		c.History, _ = strconv.Atoi(string(token))
	}
	return nil
}

func (p *Parser) id(c *Command, f *fields) (err *Error) {
	token := f.optional(fieldID)
	if token == nil {
		return nil
	}
	if c.ID, err = p.text(token, errID); err != nil {
		return err
	}
	if len(c.ID) == 0 || len(c.ID) > MaxID {
		return errID
	}
	return nil
}

func (p *Parser) payload(c *Command, f *fields, most int) (err *Error) {
	data, text, binary := f.token[fieldData], f.optional(fieldText), f.optional(fieldBase64)
	if isNull(data) && (text != nil || binary != nil) {
		data = nil // absent; on its own it is a payload
	}
	switch {
	case data != nil && text == nil && binary == nil:
		c.Payload, c.Text = data, true
	case data == nil && text != nil && binary == nil:
		c.Payload, err = p.text(text, errText)
		c.Text = true
	case data == nil && text == nil && binary != nil:
		c.Payload, err = p.base64(binary)
	default:
		return errPayload
	}
	if err != nil {
		return err
	}
	if len(c.Payload) > most {
		return &Error{Code: CodeTooLarge, Message: "the payload has " + strconv.Itoa(len(c.Payload)) +
			" bytes, more than the " + strconv.Itoa(most) + " that a message may have"}
	}
	return nil
}

// optional is the token of a field; nil if there is none or it is null.
func (f *fields) optional(which field) []byte {
	if token := f.token[which]; !isNull(token) {
		return token
	}
	return nil
}

func isNull(token []byte) bool { return len(token) > 0 && token[0] == 'n' }

// text is what a string means, never nil. If the token is none, err is wrong.
func (p *Parser) text(token []byte, wrong *Error) ([]byte, *Error) {
	if token[0] != '"' {
		return nil, wrong
	}
	token = token[1 : len(token)-1]
	if bytes.IndexByte(token, '\\') < 0 {
		return token, nil
	}
	from, ok := len(p.scratch), false
	if p.scratch, ok = unescape(p.scratch, token); !ok {
		return nil, errSurrogate
	}
	return p.scratch[from:], nil
}

// base64 is what a string of base64 means (RFC 4648, 4).
func (p *Parser) base64(token []byte) ([]byte, *Error) {
	text, err := p.text(token, errBase64)
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return nil, errBase64 // the decoder would skip them
	}
	from, bad := len(p.scratch), error(nil)
	if p.scratch, bad = strict.AppendDecode(p.scratch, text); bad != nil {
		return nil, errBase64
	}
	return p.scratch[from:], nil
}

// strict refuses bits that are left over and not zero: one text for one payload.
var strict = base64.StdEncoding.Strict()
