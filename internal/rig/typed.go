package rig

import (
	"encoding/json"
	"fmt"
	"strings"
)

// typed is what a client knows that speaks the JSON protocol, on one channel.
type typed struct {
	channel string

	subscribed chan struct{} // closed once it is
	node       string        // set before subscribed is closed
	id         string        // of the place behind what it heard; the listener's
}

// newTyped is for a client that opens path, "/ws/channel?query".
func newTyped(path string) *typed {
	channel, _, _ := strings.Cut(strings.TrimPrefix(path, "/ws/"), "?")
	return &typed{channel: channel, subscribed: make(chan struct{})}
}

// serverFrame is what counts here of what nodes send.
type serverFrame struct {
	Type, Node, ID, Text string
	Gap                  bool
}

// read takes a frame from the node; m is nil if it is no message.
func (t *typed) read(frame []byte) (m []byte, err error) {
	var f serverFrame
	if err := json.Unmarshal(frame, &f); err != nil {
		return nil, fmt.Errorf("frame %.200q: %w", frame, err)
	}
	switch {
	case f.Type == "message":
		t.id = f.ID
		return []byte(f.Text), nil
	case f.Type == "welcome":
		t.node = f.Node
	case f.Type == "subscribed" && !f.Gap:
		t.id = f.ID
		close(t.subscribed)
	default:
		return nil, fmt.Errorf("the node says %s", frame)
	}
	return nil, nil
}

// publish is a frame that publishes text.
func (t *typed) publish(text string) string {
	frame, _ := json.Marshal(map[string]string{"type": "publish", "channel": t.channel, "text": text}) // strings can't fail
	return string(frame)
}
