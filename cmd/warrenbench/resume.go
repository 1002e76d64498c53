//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// resumeCommand is the hidden subcommand: clients that come all at once and ask
// for what was before them, again and again until its standard input ends. It is
// a process of its own so that reading all that does not delay the clients whose
// latency is measured more than it must.
const resumeCommand = "resume"

// begun is printed when the first of them have been answered.
const begun = "begun"

// resumeResult is what it prints in the end.
type resumeResult struct {
	Messages int64 // replayed, all clients
	Took     time.Duration
}

func runResume(args []string, out io.Writer) error {
	flags := flag.NewFlagSet(resumeCommand, flag.ContinueOnError)
	addr := flags.String("addr", "", "of the server")
	path := flags.String("path", "", "with the query that asks for history")
	clients := flags.Int("clients", 1, "at once")
	messages := flags.Int("messages", 1, "that each must get")
	size := flags.Int("size", 64, "bytes of a message")
	inJSON := flags.Bool("json", false, "ask for the JSON protocol")
	if err := flags.Parse(args); err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(*addr)
	if err != nil {
		return fmt.Errorf("-addr %q: %w", *addr, err)
	}
	var end atomic.Bool
	go func() { // ends with the process, at the latest
		_, _ = io.Copy(io.Discard, os.Stdin)
		end.Store(true)
	}()
	var r resumeResult
	began := time.Now()
	for !end.Load() || r.Messages == 0 {
		first := r.Messages == 0
		err := resume(target{addr: to, path: *path, json: *inJSON}, *clients, *messages, *size, func() {
			if first {
				fmt.Fprintln(out, begun)
			}
		})
		if err != nil {
			return err
		}
		r.Messages += int64(*clients) * int64(*messages)
	}
	r.Took = time.Since(began)
	return json.NewEncoder(out).Encode(r)
}

// resumers is a running resume.
type resumers struct {
	process *process
	in      *os.File
}

// startResumers returns when the first clients have been answered. The caller
// ends them.
func startResumers(ctx context.Context, b *bench, t target, clients, messages int, serve func(time.Duration) error) (*resumers, error) {
	p, in, err := startSelf(b.log, resumeCommand, "-addr="+t.addr.String(), "-path="+t.path,
		fmt.Sprint("-clients=", clients), fmt.Sprint("-messages=", messages), fmt.Sprint("-size=", b.size), fmt.Sprint("-json=", t.json))
	if err != nil {
		return nil, fmt.Errorf("start clients that resume: %w", err)
	}
	o := &resumers{p, in}
	for {
		select {
		case <-p.lines:
			return o, nil
		case <-p.done:
			_ = in.Close()
			return nil, fmt.Errorf("clients that resume ended: %w", p.err)
		default:
		}
		if err := errors.Join(serve(time.Millisecond), ctx.Err()); err != nil {
			return nil, errors.Join(err, in.Close(), p.kill())
		}
	}
}

// end waits until those that have come have what they ask for.
func (o *resumers) end(ctx context.Context, serve func(time.Duration) error) (r resumeResult, err error) {
	if err := o.in.Close(); err != nil {
		return r, errors.Join(fmt.Errorf("end clients that resume: %w", err), o.process.kill())
	}
	if err := o.process.await(ctx, serve); err != nil {
		return r, fmt.Errorf("clients that resume: %w", err)
	}
	return r, o.process.result(&r)
}

// resume connects clients and ends them when each has the messages, in order.
// answered is called when all have their 101.
func resume(t target, clients, messages, payloadSize int, answered func()) (err error) {
	ctx := context.Background() // every step has its own deadline
	f, err := newFan(payloadSize, fromAny)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	if err := f.grow(ctx, newDialer(t), clients); err != nil {
		return err
	}
	answered()
	f.expect(int64(messages))
	return f.until(ctx, "the history at all clients", func() bool { return f.behind == 0 })
}
