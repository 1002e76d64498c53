// Package rig runs whole nodes for tests: processes of cmd/warren, clients that
// judge what they hear, an AMQP program that loses nothing, and links that fail.
package rig

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// Programs are the binaries that a rig runs.
type Programs struct {
	Warren      string // cmd/warren
	FaultyLinks string // internal/faultylinks
}

// Build compiles the programs into dir; warren with the race detector if race.
func Build(ctx context.Context, dir string, race bool) (Programs, error) {
	p := Programs{Warren: filepath.Join(dir, "warren"), FaultyLinks: filepath.Join(dir, "faultylinks")}
	for _, b := range []struct {
		binary, path string
		race         bool
	}{{p.Warren, "warren/cmd/warren", race}, {p.FaultyLinks, "warren/internal/faultylinks", false}} {
		args := []string{"build", "-buildvcs=false", "-o", b.binary}
		if b.race {
			args = append(args, "-race")
		}
		if out, err := exec.CommandContext(ctx, "go", append(args, b.path)...).CombinedOutput(); err != nil {
			return p, fmt.Errorf("building %s: %w\n%s", b.path, err, out)
		}
	}
	return p, nil
}

// pollEvery is how often Await looks.
const pollEvery = 10 * time.Millisecond

// Await polls what has no event to wait for, such as a log, a status, or what
// others got, until check returns nil or an error made by Never.
func Await(ctx context.Context, check func() error) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		err := check()
		if never := (*neverError)(nil); err == nil || errors.As(err, &never) {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// Never is an error of a check that no waiting mends.
func Never(err error) error { return &neverError{err} }

type neverError struct{ error }

func (e *neverError) Unwrap() error { return e.error }
