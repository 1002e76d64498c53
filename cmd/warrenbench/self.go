//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// programs are the hidden subcommands: what must not share a process with the
// load that is measured.
var programs = map[string]func(args []string, out io.Writer) error{
	bareCommand:   runBare,
	crowdCommand:  runCrowd,
	rabbitCommand: runRabbit,
	resumeCommand: runResume,
}

// startSelf starts this program again, as one of programs. in is its standard
// input, which the caller closes. The caller stops it.
func startSelf(stderr io.Writer, program string, args ...string) (p *process, in *os.File, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program: %w", err)
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer theirs.Close()
	cmd := exec.Command(self, append([]string{program}, args...)...)
	cmd.Stdin, cmd.Stderr = theirs, stderr
	if p, err = startProcess(cmd, true); err != nil {
		_ = ours.Close()
		return nil, nil, err
	}
	return p, ours, nil
}

// runSelf runs this program again, as one of programs, until it ends, and
// decodes the JSON it printed into result. Meanwhile it calls serve, which takes
// no longer than it is told, unless that is nil.
func runSelf(ctx context.Context, stderr io.Writer, serve func(time.Duration) error, result any, program string, args ...string) error {
	p, in, err := startSelf(stderr, program, args...)
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	defer in.Close()
	if err := p.await(ctx, serve); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return p.result(result)
}

// await waits until p ends well. It kills p if ctx ends or serve fails.
func (p *process) await(ctx context.Context, serve func(time.Duration) error) (err error) {
	for err == nil {
		step := make(chan struct{}) // never, if there is nothing to serve
		if serve != nil {
			err = serve(20 * time.Millisecond)
			close(step)
		}
		select {
		case <-p.done:
			return p.err
		case <-ctx.Done():
			err = ctx.Err()
		case <-step:
		}
	}
	return errors.Join(err, p.kill())
}

// result decodes the line of JSON that p has printed, once it has ended.
func (p *process) result(into any) error {
	select {
	case line := <-p.lines:
		if err := json.Unmarshal([]byte(line), into); err != nil {
			return fmt.Errorf("result %q of %s: %w", line, p.cmd.Args[1], err)
		}
		return nil
	default:
		return fmt.Errorf("%s printed no result", p.cmd.Args[1])
	}
}
