package amqptest

import (
	"os"
	"path/filepath"
	"strings"

	"warren/internal/port"
)

// epmd is where the nodes of a cluster, and rabbitmqctl, find each other.
type epmd struct {
	port    port.Port
	process *process
}

// startEpmd logs to dir.
func startEpmd(dir string) (*epmd, error) {
	p, err := port.Reserve()
	if err != nil {
		return nil, err
	}
	e := &epmd{port: p}
	e.process, err = spawn(filepath.Join(dir, "epmd.log"), e.environment(), "epmd", "-port", p.String(), "-address", "127.0.0.1")
	if err != nil {
		e.port.Release()
		return nil, err
	}
	return e, nil
}

// environment is ours, as far as it doesn't concern another RabbitMQ.
func (e *epmd) environment() []string {
	env := []string{"ERL_EPMD_PORT=" + e.port.String(), "ERL_EPMD_ADDRESS=127.0.0.1"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RABBITMQ_") && !strings.HasPrefix(v, "ERL_") && !strings.HasPrefix(v, "HOME=") {
			env = append(env, v)
		}
	}
	return env
}

func (e *epmd) close() error {
	e.port.Release()
	return e.process.kill()
}
