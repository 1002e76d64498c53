package admin

import (
	"testing"

	"warren/gateway"
)

// Once the answer is being written, a late confirm changes nothing.
func TestLateConfirm(t *testing.T) {
	b := newBatch(1)
	if !b.enter(t.Context()) {
		t.Fatal("no room")
	}
	settle := b.await()
	results := b.end()
	settle(gateway.MessageID{Publisher: "p", Seq: 1}, nil)
	if r := results[0]; r.err == nil || r.err.Code != codeUnconfirmed || r.id != (gateway.MessageID{}) {
		t.Errorf("result %+v", r)
	}
	if !b.enter(t.Context()) {
		t.Error("its place was not given back")
	}
}
