package rig

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"warren/internal/child"
)

//go:embed crowd.mjs
var crowdScript []byte

// Crowd is clients of the JavaScript client, all in one process of Node.js. They
// use its API and nothing else; cuts come from below.
type Crowd struct {
	process *child.Process
	log     *Log // standard error
	stdin   io.WriteCloser
	answers chan []byte

	mu sync.Mutex // held from a question to its answer
}

// CrowdClient is a client to be.
type CrowdClient struct {
	ID       int      `json:"id"` // as a Source
	URL      string   `json:"url"`
	Channels []string `json:"channels"`
	Channel  string   `json:"channel"` // to publish to
}

// CrowdReport is what became of one client.
type CrowdReport struct {
	ID     int
	Heard  map[string][]string // by subscription: lines of channel, id and text
	Gaps   []string
	Errors []string // codes of those that were told unasked
	Nodes  []string // that it was connected to, each once
	Closes []int    // close codes, of connections that had been opened
	Said   int      // publishes
	Acks   []string // mids
	Failed []string // publishes that were not acknowledged
	Again  int      // times that a publish was sent anew

	// Repeated is how many messages came on the wire though they had come
	// before: the client hides that from who uses it.
	Repeated int
}

// StartCrowd runs Node.js, with nobody in it yet. dir gets the script and
// module, the text of the JavaScript client. Close ends it.
func StartCrowd(ctx context.Context, dir string, module []byte) (*Crowd, error) {
	script := filepath.Join(dir, "crowd.mjs")
	err := errors.Join(
		os.WriteFile(script, crowdScript, 0o600),
		os.WriteFile(filepath.Join(dir, "warren.mjs"), module, 0o600),
	)
	if err != nil {
		return nil, fmt.Errorf("setting up clients in Node.js: %w", err)
	}
	cmd := exec.Command("node", script)
	// Debian's packages, such as ws, are found by NODE_PATH only.
	cmd.Env = append(os.Environ(), "NODE_PATH="+os.Getenv("NODE_PATH")+":/usr/share/nodejs")
	c := &Crowd{log: &Log{}, answers: make(chan []byte)}
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, c.log
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("setting up clients in Node.js: %w", err)
	}
	if c.process, err = child.Start(cmd); err != nil {
		return nil, fmt.Errorf("%w (make setup installs it)", err)
	}
	go func() {
		<-c.process.Done()
		in.Close()
	}()
	go c.read(bufio.NewReader(out))
	// An answer shows that script and module were understood.
	if err := c.do(ctx, nil, "counts"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// read passes answers on, until Node.js ends.
func (c *Crowd) read(out *bufio.Reader) {
	defer close(c.answers)
	for {
		line, err := out.ReadBytes('\n')
		if err != nil {
			return
		}
		c.answers <- line
	}
}

// do asks for something and waits for the answer. After a wait in vain the crowd
// is of no use any more.
func (c *Crowd) do(ctx context.Context, answer any, verb string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	line, err := json.Marshal(append([]any{verb}, args...))
	if err != nil {
		return err
	}
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("asking Node.js to %s: %w; it printed %s", verb, err, c.log)
	}
	select {
	case line, ok := <-c.answers:
		if !ok {
			return fmt.Errorf("asking Node.js to %s: it ended: %w; it printed %s", verb, c.process.Err(), c.log)
		}
		var a struct {
			Value json.RawMessage
			Error string
		}
		if err := json.Unmarshal(line, &a); err != nil {
			return fmt.Errorf("asking Node.js to %s: %w: %.200s", verb, err, line)
		}
		if a.Error != "" {
			return fmt.Errorf("asking Node.js to %s: %s", verb, a.Error)
		}
		if answer == nil {
			return nil
		}
		return json.Unmarshal(a.Value, answer)
	case <-ctx.Done():
		return fmt.Errorf("asking Node.js to %s: %w; it printed %s", verb, ctx.Err(), c.log)
	}
}

// Join adds clients and waits until they are subscribed.
func (c *Crowd) Join(ctx context.Context, clients []CrowdClient) error {
	return c.do(ctx, nil, "join", clients)
}

// Talk makes each client say something, once in so many milliseconds.
func (c *Crowd) Talk(ctx context.Context, every int) error { return c.do(ctx, nil, "talk", every) }

// Cut makes clients say something, and cuts them off from below before they
// can be acknowledged.
func (c *Crowd) Cut(ctx context.Context, ids ...int) error { return c.do(ctx, nil, "cut", ids) }

// Hush ends the talk and waits until everything is acknowledged, or refused.
func (c *Crowd) Hush(ctx context.Context) error {
	if err := c.do(ctx, nil, "hush"); err != nil {
		return err
	}
	return c.await(ctx, "unsettled")
}

// Hears waits until text is what came last in every subscription.
func (c *Crowd) Hears(ctx context.Context, text string) error { return c.await(ctx, "waiting", text) }

// await asks until nobody is named.
func (c *Crowd) await(ctx context.Context, verb string, args ...any) error {
	return Await(ctx, func() error {
		var who []string
		if err := c.do(ctx, &who, verb, args...); err != nil {
			return Never(err)
		}
		if len(who) > 0 {
			return fmt.Errorf("clients in Node.js that are %s: %d, first %s", verb, len(who), who[0])
		}
		return nil
	})
}

// Heard is how many messages came so far, by subscription.
func (c *Crowd) Heard(ctx context.Context) (counts []int, err error) {
	return counts, c.do(ctx, &counts, "counts")
}

// Report is what became of all.
func (c *Crowd) Report(ctx context.Context) (all []CrowdReport, err error) {
	return all, c.do(ctx, &all, "report")
}

// Reply is the answer to a request.
type Reply struct {
	MID, Kind, Data string
}

// Request makes one client ask a program.
func (c *Crowd) Request(ctx context.Context, id int, channel, text string) (r Reply, err error) {
	return r, c.do(ctx, &r, "request", id, channel, text)
}

// Log is what Node.js complained of.
func (c *Crowd) Log() string { return c.log.String() }

// Close ends Node.js.
func (c *Crowd) Close() error {
	err := c.process.Stop(syscall.SIGKILL, getTimeout)
	for range c.answers {
	}
	return err
}
