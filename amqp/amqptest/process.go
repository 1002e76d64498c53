package amqptest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"warren/internal/child"
)

// process is a child that leads a process group.
type process struct{ *child.Process }

// spawn runs a program whose output goes to a file.
func spawn(log string, env []string, name string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, filepath.Dir(log), out, out
	p, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	return &process{p}, nil
}

// signal reaches the whole group.
func (p *process) signal(sig syscall.Signal) error { return syscall.Kill(-p.Pid(), sig) }

// terminate reaches the leader alone.
func (p *process) terminate() error { return syscall.Kill(p.Pid(), syscall.SIGTERM) }

// kill ends the group and waits for the leader.
func (p *process) kill() error {
	err := p.signal(syscall.SIGKILL)
	<-p.Done()
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
