//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time, user and system, of all threads that the processes
// have and had. It reads each process's CPU clock (clock_getcpuclockid(3)):
// nanoseconds, where /proc/PID/stat has 10 ms ticks and /proc/PID/schedstat
// only the first thread.
func cpuTime(pids []int) (time.Duration, error) {
	if len(pids) == 0 {
		return 0, fmt.Errorf("read CPU time: no process id is known: give -pid with -url")
	}
	var sum time.Duration
	for _, pid := range pids {
		// MAKE_PROCESS_CPUCLOCK of the kernel's posix-timers.h
		const sched = 2 // CPUCLOCK_SCHED
		var ts unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); err != nil {
			return 0, fmt.Errorf("read the CPU clock of process %d: %w (is it still running?)", pid, err)
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, nil
}

// memory is what processes hold, in bytes.
type memory struct {
	RSS     int64 `json:"rss"`     // resident, exact: Rss of smaps_rollup
	Private int64 `json:"private"` // the part no other process shares
	VmRSS   int64 `json:"vm_rss"`  // as ps shows it: may lag by some pages a CPU
}

// memoryOf sums over the processes.
func memoryOf(pids []int) (memory, error) {
	var sum memory
	if len(pids) == 0 {
		return sum, fmt.Errorf("read memory: no process id is known: give -pid with -url")
	}
	for _, pid := range pids {
		rollup, err := kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return sum, err
		}
		status, err := kilobytes(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return sum, err
		}
		sum.RSS += rollup["Rss"]
		sum.Private += rollup["Private_Clean"] + rollup["Private_Dirty"]
		sum.VmRSS += status["VmRSS"]
	}
	return sum, nil
}

// kilobytes reads the "Name: 123 kB" lines of a /proc file, in bytes.
func kilobytes(path string) (map[string]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read memory: %w", err)
	}
	sizes := map[string]int64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			sizes[strings.TrimSuffix(f[0], ":")] = n << 10
		}
	}
	return sizes, nil
}

// settled waits until the memory has stayed the same, give or take 64 KiB, for
// two seconds, calling idle in between; after limit it returns what there is.
func settled(ctx context.Context, pids []int, limit time.Duration, idle func(time.Duration) error) (m memory, ok bool, err error) {
	const window, pause, slack = 10, 200 * time.Millisecond, 64 << 10
	var last []int64
	for end := time.Now().Add(limit); ; {
		if m, err = memoryOf(pids); err != nil {
			return m, false, err
		}
		last = append(last, m.RSS)
		if len(last) > window {
			last = last[1:]
			if s := spreadOf(floats(last)); s.Max-s.Min <= slack {
				return m, true, nil
			}
		}
		if time.Now().After(end) {
			return m, false, nil
		}
		if err := idle(pause); err != nil {
			return m, false, err
		}
		if err := ctx.Err(); err != nil {
			return m, false, err
		}
	}
}

// descriptors is how many files this process may open. The Go runtime has
// raised the soft limit to the hard one.
func descriptors() (int, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return int(min(r.Cur, 1<<24)), nil
}

// fit lowers the number of clients to what the descriptors allow, keeping some
// for the process itself, and for a server that has the same limit and keeps more.
func fit(clients, limit int) int {
	reserve := min(600, limit/2)
	return max(min(clients, limit-reserve), 1)
}
