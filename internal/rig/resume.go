package rig

import (
	"context"
	"fmt"
)

// Resume connects a client to a node, which may be another, behind the message
// that a client heard last who is done. The two are judged together.
func Resume(ctx context.Context, after *Client, n *Node, path string, ids *IDs, o ClientOptions) (*Client, error) {
	id, err := ids.Of(ctx, after)
	if err != nil {
		return nil, err
	}
	o.After = after
	c, err := Open(ctx, n, path+"?since="+id.String(), o)
	if err != nil {
		return nil, err
	}
	if c.Header.Get(GapHeader) != "" {
		c.Close() // before it hears anything: that would be out of order
		return nil, &GapError{fmt.Sprintf("%s resumed on %s behind message %v, %v: answered with %s", after.Who, n.Name, after.Latest(), id, GapHeader)}
	}
	c.join()
	return c, nil
}

// GapError says that a client can't be given all that came after what it has.
type GapError struct{ text string }

func (e *GapError) Error() string { return e.text }

// GapHeader is in the response to who can't be given everything that was asked
// for.
const GapHeader = "Warren-Gap"
