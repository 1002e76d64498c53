//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const stopLimit = 10 * time.Second

// process is a child that dies with this one.
type process struct {
	cmd   *exec.Cmd
	lines chan string   // what it prints, if that was asked for
	done  chan struct{} // closed when it has ended
	err   error         // why, once done
}

// startProcess starts cmd; listen says whether its standard output is wanted.
func startProcess(cmd *exec.Cmd, listen bool) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	read := func() {}
	if listen {
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
		}
		p.lines = make(chan string, 16)
		read = func() {
			for s := bufio.NewScanner(out); s.Scan(); {
				select {
				case p.lines <- s.Text():
				default: // nobody asked for so many
				}
			}
		}
	}
	// The kernel sends it when the thread that started the child ends: main
	// is locked to the first thread for that.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() {
		defer close(p.done)
		read() // Wait closes the pipe
		p.err = cmd.Wait()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the process to end, waits, and kills it if need be.
func (p *process) stop(ask func() error) error {
	if err := ask(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("ask %s to stop: %w", p.cmd.Path, err), p.kill())
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("%s did not stop within %v and was killed", p.cmd.Path, stopLimit), p.kill())
	}
}

func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
