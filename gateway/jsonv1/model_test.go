package jsonv1_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"

	"warren/gateway/jsonv1"
	"warren/gateway/request"
)

func show(c jsonv1.Command) string {
	return fmt.Sprintf("{%d ref %q channel %q since %q history %d id %q payload %q text %v}", c.Kind, c.Ref, c.Channel, c.Since, c.History, c.ID, c.Payload, c.Text)
}

// model says with encoding/json what Parse must say of a frame of valid UTF-8.
func model(frame []byte, most int) (c jsonv1.Command, code string) {
	fields, twice, ok := modelFields(frame)
	if !ok {
		return c, jsonv1.CodeBadJSON
	}
	c.History = -1
	if code = modelCommand(&c, fields, twice, most); code != "" {
		c = jsonv1.Command{}
	}
	return c, code
}

// modelFields is the fields' tokens, null left out, and whether a known one
// stands there twice.
func modelFields(frame []byte) (fields map[string]json.RawMessage, twice bool, ok bool) {
	if !json.Valid(frame) || json.Unmarshal(frame, &fields) != nil || fields == nil || depth(frame) > jsonv1.MaxDepth {
		return nil, false, false
	}
	known := map[string]int{"type": 0, "ref": 0, "channel": 0, "since": 0, "history": 0, "id": 0, "data": 0, "text": 0, "base64": 0}
	d := json.NewDecoder(bytes.NewReader(frame))
	must(d.Token())
	for d.More() {
		name := must(d.Token()).(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			panic(err)
		}
		if seen, ok := known[name]; ok {
			known[name]++
			twice = twice || seen > 0
		}
	}
	for name, token := range fields {
		if string(token) == "null" && (name != "data" || len(fields["text"]) > 0 && string(fields["text"]) != "null" ||
			len(fields["base64"]) > 0 && string(fields["base64"]) != "null") {
			delete(fields, name)
		}
	}
	return fields, twice, true
}

// depth is how deep valid JSON is nested.
func depth(frame []byte) (most int) {
	d := json.NewDecoder(bytes.NewReader(frame))
	d.UseNumber()
	for now := 0; ; {
		token, err := d.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
			most = max(most, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}

func modelCommand(c *jsonv1.Command, fields map[string]json.RawMessage, twice bool, most int) (code string) {
	refCode := modelRef(c, fields["ref"])
	kind, kindCode := modelText(fields["type"])
	c.Kind = map[string]jsonv1.Kind{"subscribe": jsonv1.Subscribe, "unsubscribe": jsonv1.Unsubscribe, "publish": jsonv1.Publish, "ping": jsonv1.Ping}[string(kind)]
	switch {
	case twice:
		return jsonv1.CodeBadMessage
	case kindCode != "":
		return kindCode
	case c.Kind == 0:
		return jsonv1.CodeBadMessage
	case refCode != "" || c.Kind == jsonv1.Ping:
		return refCode
	}
	if c.Channel, code = modelText(fields["channel"]); code != "" {
		return code
	}
	if len(c.Channel) > 0 && !request.ValidChannel(c.Channel) {
		return jsonv1.CodeBadChannel
	}
	switch c.Kind {
	case jsonv1.Subscribe:
		return modelResume(c, fields)
	case jsonv1.Publish:
		return modelPublish(c, fields, most)
	}
	return ""
}

func modelRef(c *jsonv1.Command, token json.RawMessage) (code string) {
	switch {
	case token == nil:
		return ""
	case token[0] != '"':
		n, err := strconv.ParseInt(string(token), 10, 64)
		if err != nil || n < -1<<53 || n > 1<<53 {
			return jsonv1.CodeBadMessage
		}
	case len(token) > jsonv1.MaxRef+2:
		return jsonv1.CodeBadMessage
	case alone(token):
		return jsonv1.CodeBadJSON
	}
	c.Ref = token
	return ""
}

func modelResume(c *jsonv1.Command, fields map[string]json.RawMessage) (code string) {
	if token := fields["since"]; token != nil {
		if c.Since, code = modelText(token); code != "" {
			return code
		}
	}
	if token := fields["history"]; token != nil {
		n, err := strconv.ParseUint(string(token), 10, 32)
		if err != nil || n > 999_999_999 {
			return jsonv1.CodeBadMessage
		}
		c.History = int(n)
	}
	return ""
}

func modelPublish(c *jsonv1.Command, fields map[string]json.RawMessage, most int) (code string) {
	if token := fields["id"]; token != nil {
		if c.ID, code = modelText(token); code != "" {
			return code
		}
		if len(c.ID) < 1 || len(c.ID) > jsonv1.MaxID {
			return jsonv1.CodeBadMessage
		}
	}
	data, text, binary := fields["data"], fields["text"], fields["base64"]
	switch {
	case data != nil && text == nil && binary == nil:
		c.Payload, c.Text = data, true
	case data == nil && text != nil && binary == nil:
		if c.Payload, code = modelText(text); code != "" {
			return code
		}
		c.Text = true
	case data == nil && text == nil && binary != nil:
		encoded, code := modelText(binary)
		if code != "" {
			return code
		}
		decoded, err := base64.StdEncoding.DecodeString(string(encoded))
		if err != nil || base64.StdEncoding.EncodeToString(decoded) != string(encoded) {
			return jsonv1.CodeBadMessage
		}
		c.Payload = decoded
	default:
		return jsonv1.CodeBadMessage
	}
	if len(c.Payload) > most {
		return jsonv1.CodeTooLarge
	}
	return ""
}

// modelText is what a string means. It is never nil without a code.
func modelText(token json.RawMessage) (_ []byte, code string) {
	if token == nil || token[0] != '"' {
		return nil, jsonv1.CodeBadMessage
	}
	if alone(token) {
		return nil, jsonv1.CodeBadJSON
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		panic(err)
	}
	return append([]byte{}, s...), ""
}

// escapes matches an escape: a pair of surrogates before one that is alone.
var escapes = regexp.MustCompile(`(?i)\\u(d[89ab]..\\ud[c-f]..)|\\u(d[89a-f]..)|\\.`)

// alone says whether a string has a surrogate that encoding/json would replace.
func alone(token []byte) bool {
	for _, m := range escapes.FindAllSubmatch(token, -1) {
		if m[2] != nil {
			return true
		}
	}
	return false
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
