package e2e_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/coder/websocket"

	"warren/internal/rig/rigtest"
)

// jsonClient is an independent client of the JSON protocol.
type jsonClient struct {
	*websocket.Conn
	t     *testing.T
	where string
}

// jsonFrame is any frame from the node.
type jsonFrame struct {
	Type    string          `json:"type"`
	Channel string          `json:"channel"`
	ID      string          `json:"id"`
	MID     string          `json:"mid"`
	Ref     int             `json:"ref"`
	Text    string          `json:"text"`
	Data    json.RawMessage `json:"data"`
	Code    string          `json:"code"`
}

// speakJSON connects to n and reads the welcome.
func speakJSON(t *testing.T, n *rigtest.Node, path string) *jsonClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rigtest.Patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+n.Addr()+path, &websocket.DialOptions{Subprotocols: []string{"warren.v1.json"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	c := &jsonClient{conn, t, path + " of " + n.Name}
	c.next("welcome")
	return c
}

// say sends a frame of that type.
func (c *jsonClient) say(kind string, fields map[string]any) {
	c.t.Helper()
	frame := map[string]any{"type": kind}
	for k, v := range fields {
		frame[k] = v
	}
	text, err := json.Marshal(frame)
	rigtest.Check(c.t, err)
	ctx, cancel := context.WithTimeout(c.t.Context(), rigtest.Patience)
	defer cancel()
	rigtest.Check(c.t, c.Write(ctx, websocket.MessageText, text))
}

// next is the next frame, which must be of one of these types.
func (c *jsonClient) next(types ...string) (f jsonFrame) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), rigtest.Patience)
	defer cancel()
	_, text, err := c.Read(ctx)
	if err != nil {
		c.t.Fatalf("%s: instead of %q: %v", c.where, types, err)
	}
	rigtest.Check(c.t, json.Unmarshal(text, &f))
	if !slices.Contains(types, f.Type) {
		c.t.Fatalf("%s: instead of %q: %s", c.where, types, text)
	}
	return f
}

// gather is the next frames, one of each type, in whatever order they come.
func (c *jsonClient) gather(types ...string) map[string]jsonFrame {
	c.t.Helper()
	frames := map[string]jsonFrame{}
	for len(types) > 0 {
		f := c.next(types...)
		frames[f.Type] = f
		types = slices.DeleteFunc(types, func(kind string) bool { return kind == f.Type })
	}
	return frames
}
