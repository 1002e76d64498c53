//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// crowdProcess is a running crowd.
type crowdProcess struct {
	process *process
	in      *os.File
}

// startCrowd starts a crowd of n clients for t, none of which has come yet. The
// caller stops it.
func (b *bench) startCrowd(t target, n int) (*crowdProcess, error) {
	p, in, err := startSelf(b.log, crowdCommand, "-addr="+t.addr.String(), "-path="+t.path, fmt.Sprint("-clients=", n))
	if err != nil {
		return nil, fmt.Errorf("start a crowd: %w", err)
	}
	return &crowdProcess{p, in}, nil
}

// tell has it begin something; heard has the outcome.
func (c *crowdProcess) tell(what byte) error {
	if _, err := c.in.Write([]byte{what}); err != nil {
		return fmt.Errorf("tell the crowd %q: %w", what, err)
	}
	return nil
}

// heard is what has become of the last command. It does not wait.
func (c *crowdProcess) heard() (r crowdResult, done bool, err error) {
	select {
	case line := <-c.process.lines:
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return r, true, fmt.Errorf("result %q of the crowd: %w", line, err)
		}
		return r, true, nil
	case <-c.process.done:
		return r, true, fmt.Errorf("the crowd ended: %v", c.process.err)
	default:
		return r, false, nil
	}
}

// do has it do something and waits, calling serve meanwhile, unless that is nil.
func (c *crowdProcess) do(ctx context.Context, what byte, serve func(time.Duration) error) (r crowdResult, err error) {
	if err := c.tell(what); err != nil {
		return r, err
	}
	if serve == nil {
		serve = func(d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(d):
				return nil
			}
		}
	}
	for {
		r, done, err := c.heard()
		if done {
			return r, err
		}
		if err := serve(2 * time.Millisecond); err != nil {
			return r, err
		}
	}
}

func (c *crowdProcess) stop() error {
	return c.process.stop(func() error {
		if err := c.in.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err
		}
		return nil
	})
}
