// Package child runs other programs so that they end with this one.
package child

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// pipeDelay is how long output is still read after the program has ended, in
// case a grandchild holds its end of the pipe.
const pipeDelay = 2 * time.Second

// Process is a running program.
type Process struct {
	name string
	pid  int
	done chan struct{}
	err  error // why it ended; set before done is closed
}

// Start runs cmd in a process group of its own, so that a Ctrl-C in the
// terminal reaches only us, and we choose the order things end in. On Linux the
// program gets a SIGKILL should this process die without ending it.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{name: filepath.Base(cmd.Path), done: make(chan struct{})}
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = pipeDelay
	started := make(chan error)
	go func() {
		defer close(p.done)
		// The kernel watches the thread that started the program, not the
		// process (prctl(2), PR_SET_PDEATHSIG): keep it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			// What it left behind. Now, while its number can't be anyone else's.
			syscall.Kill(-p.pid, syscall.SIGKILL)
		}
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	return p, nil
}

// Pid is the process, and its group.
func (p *Process) Pid() int { return p.pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the program ended, once Done is closed: nil for status 0.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop sends sig to the program and waits until it has ended; after grace it
// kills it, and the error says so. Its group ends with it.
func (p *Process) Stop(sig syscall.Signal, grace time.Duration) error {
	select {
	case <-p.done:
		return nil // its number may be someone else's by now
	default:
	}
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stopping %s (pid %d): %w", p.name, p.pid, err)
	}
	limit := time.NewTimer(grace)
	defer limit.Stop()
	select {
	case <-p.done:
		return nil
	case <-limit.C:
		syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("%s (pid %d) was still running %v after %v and was killed", p.name, p.pid, grace, sig)
	}
}
