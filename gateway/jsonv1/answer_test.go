package jsonv1_test

import (
	"encoding/json"
	"testing"

	"warren/gateway/internal/place"
	"warren/gateway/jsonv1"
)

func TestAnswers(t *testing.T) {
	ref, from, to := []byte(`"r\n"`), place.ID{Offset: 1, Check: 2}, place.ID{Offset: 3, Check: 0xfffffff4}
	for _, tt := range []struct {
		got  []byte
		want string
	}{
		{jsonv1.AppendWelcome(nil, 18446744073709551615, "node \"1\"", ""), `{"type":"welcome","connection":"18446744073709551615","node":"node \"1\""}`},
		{jsonv1.AppendWelcome(nil, 1, "n", "é\xff"), `{"type":"welcome","connection":"1","node":"n","user":"é` + "\ufffd" + `"}`},
		{jsonv1.AppendSubscribed(nil, "a/b", 5, 0xbadcafe, true, ref), `{"type":"subscribed","channel":"a/b","id":"5-0badcafe","gap":true,"ref":"r\n"}`},
		{jsonv1.AppendSubscribed(nil, "", 5, 0, false, nil), `{"type":"subscribed","channel":""}`},
		{jsonv1.AppendUnsubscribed(nil, "a", []byte("7")), `{"type":"unsubscribed","channel":"a","ref":7}`},
		{jsonv1.AppendUnsubscribed(nil, "a", ref[:0]), `{"type":"unsubscribed","channel":"a"}`},
		{jsonv1.AppendAck(nil, ref, "n.b", 9), `{"type":"ack","mid":"n.b-9","ref":"r\n"}`},
		{jsonv1.AppendAck(nil, ref, "n\xff", 0), `{"type":"ack","mid":"n` + "\ufffd" + `","ref":"r\n"}`},
		{jsonv1.AppendError(nil, &jsonv1.Error{Code: jsonv1.CodeBadID, Message: "line 1\nline 2"}), `{"type":"error","code":"bad_id","message":"line 1\nline 2"}`},
		{jsonv1.AppendError(nil, &jsonv1.Error{Code: jsonv1.CodeTooLarge, Message: "m", Ref: ref}), `{"type":"error","code":"too_large","message":"m","ref":"r\n"}`},
		{jsonv1.AppendGap(nil, "a", false, from, to), `{"type":"gap","channel":"a","from":"1-00000002","to":"3-fffffff4"}`},
		{jsonv1.AppendGap(nil, "", true, place.ID{}, to), `{"type":"gap","channel":"","root":true,"to":"3-fffffff4"}`},
		{jsonv1.AppendGap(nil, "a", false, from, place.ID{}), `{"type":"gap","channel":"a","from":"1-00000002"}`},
		{jsonv1.AppendGap(nil, "a", false, place.ID{Offset: 5}, place.ID{}), `{"type":"gap","channel":"a"}`},
		{jsonv1.AppendPong(nil, nil, 0, 0), `{"type":"pong"}`},
		{jsonv1.AppendPong([]byte{}, ref, 0, 1), `{"type":"pong","id":"0-00000001","ref":"r\n"}`},
	} {
		if string(tt.got) != tt.want || !json.Valid(tt.got) {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
}

// What Parse says of a bad frame can be sent as it is.
func TestErrorOfParse(t *testing.T) {
	var p jsonv1.Parser
	_, err := p.Parse([]byte(`{"type":"subscribe","ref":"\u0022","channel":"no such"}`), 0)
	want := `{"type":"error","code":"bad_channel","message":` + string(must(json.Marshal(err.Message))) + `,"ref":"\u0022"}`
	if got := string(jsonv1.AppendError(nil, err)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if want := "bad_channel: " + err.Message; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
