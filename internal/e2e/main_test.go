package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait: reached only when something is broken.
const patience = 90 * time.Second

// warren is the program, built once, with the race detector.
var warren string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// A broker given to other tests would be input here.
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "WARREN_") {
			os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "warren-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	warren = filepath.Join(dir, "warren")
	build := exec.Command("go", "build", "-race", "-buildvcs=false", "-o", warren, "warren/cmd/warren")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build warren:", err)
		return 1
	}
	code := m.Run()
	if err := closeBroker(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// await polls what has no event to wait for: a log, a status, what others got.
func await(t testing.TB, check func() error) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-limit.C:
			t.Fatalf("still after %v: %v", patience, err)
		}
	}
}
