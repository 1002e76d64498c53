package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Drain is the answer of a node's admin listener to whoever asks for its drain,
// begins it or ends it.
type Drain struct {
	Status  int `json:"-"`
	Phase   string
	Clients int
}

// Drain asks for the node's drain (GET), begins it (POST) or ends it (DELETE).
func (n *Node) Drain(ctx context.Context, method string) (d Drain, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.Admin()+"/drain", nil)
	if err != nil {
		return d, err
	}
	client := http.Client{Timeout: getTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return d, fmt.Errorf("asking %s: %w", n.Name, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return d, fmt.Errorf("asking %s for its drain: %w", n.Name, err)
	}
	d.Status = answer.StatusCode
	if err := json.Unmarshal(body, &d); err != nil || d.Phase == "" {
		return d, fmt.Errorf("%s /drain of %s: %s %s", method, n.Name, answer.Status, body)
	}
	return d, nil
}

// AwaitEmpty waits until all clients of a node that drains are gone.
func (n *Node) AwaitEmpty(ctx context.Context) error {
	return Await(ctx, func() error {
		d, err := n.Drain(ctx, http.MethodGet)
		if err != nil {
			return Never(err)
		}
		if d.Phase != "empty" {
			return fmt.Errorf("%s is not empty: %+v", n.Name, d)
		}
		return nil
	})
}
