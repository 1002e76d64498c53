//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// What tests share because it takes seconds to get: the gateway, built with the
// race detector, and a RabbitMQ. Made when first asked for.
var (
	sharedGateway = sync.OnceValues(buildGateway)
	sharedBroker  = sync.OnceValues(func() (broker, error) {
		k, err := startBroker(context.Background())
		if err == nil {
			atEnd = append(atEnd, k.stop)
		}
		return k, err
	})
)

// atEnd undoes it. Tests here don't run in parallel.
var atEnd []func() error

func closeShared() (err error) {
	for _, do := range atEnd {
		err = errors.Join(err, do())
	}
	return err
}

func buildGateway() (string, error) {
	dir, err := os.MkdirTemp("", "warrenbench-test-")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() error { return os.RemoveAll(dir) })
	binary := filepath.Join(dir, "warren")
	out, err := exec.Command("go", "build", "-race", "-buildvcs=false", "-o", binary, "warren/cmd/warren").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the gateway: %w: %s", err, out)
	}
	return binary, nil
}

// nodesBench has the gateway itself, with the settings that are asked for, and a
// RabbitMQ.
func nodesBench(t *testing.T) *bench {
	t.Helper()
	binary, err := sharedGateway()
	if err != nil {
		t.Fatal(err)
	}
	k, err := sharedBroker()
	if err != nil {
		t.Fatal(err)
	}
	k.stop = func() error { return nil } // the others' too
	b := &bench{size: 64, limit: 1000, log: t.Output()}
	b.broker = func(context.Context) (broker, error) { return k, nil }
	b.node = func(ctx context.Context, settings string) (target, func() error, error) {
		n, p, err := startServer(ctx, binary, t.TempDir(), settings, t.Output())
		return n, func() error { return terminate(p) }, err
	}
	return b
}
