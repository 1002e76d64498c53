//go:build linux

package gateway_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"warren/gateway"
)

// TestTableGrownBeforehand is about the time when clients come: each doubling of
// the table would hold up those who are there already.
func TestTableGrownBeforehand(t *testing.T) {
	start(t, gateway.Options{}, nil)
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var size uint64
	_, after, _ := strings.Cut(string(status), "FDSize:")
	if _, err := fmt.Sscan(after, &size); err != nil {
		t.Fatalf("FDSize: %v", err)
	}
	if want := min(lim.Cur, 1<<16); size < want {
		t.Errorf("the kernel's table has room for %d descriptors; want %d", size, want)
	}
}
