//go:build linux

package main

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rusage is what the kernel says of this process, all threads.
func rusage(t *testing.T) time.Duration {
	t.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func TestCPUTimeIsOfAllThreads(t *testing.T) {
	pids := []int{os.Getpid()}
	before, err := cpuTime(pids)
	if err != nil {
		t.Fatal(err)
	}
	const burn = 50 * time.Millisecond
	burnt := make(chan error)
	go func() {
		// A thread of its own, which ends with the goroutine.
		runtime.LockOSThread()
		var first, now unix.Timespec
		err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &first)
		for err == nil && now.Nano()-first.Nano() < int64(burn) {
			err = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)
		}
		burnt <- err
	}()
	if err := <-burnt; err != nil {
		t.Fatal(err)
	}
	low := rusage(t)
	after, err := cpuTime(pids)
	if err != nil {
		t.Fatal(err)
	}
	high := rusage(t)
	if after-before < burn {
		t.Errorf("the clock rose by %v while another thread used %v", after-before, burn)
	}
	// The kernel rounds the two differently, by less than a tick.
	const tick = 10 * time.Millisecond
	if after < low-tick || after > high+tick {
		t.Errorf("the clock says %v, getrusage between %v and %v", after, low, high)
	}
	if twice, err := cpuTime([]int{os.Getpid(), os.Getpid()}); err != nil || twice < 2*after {
		t.Errorf("two processes used %v (%v), one of them %v", twice, err, after)
	}
}

func TestProcessesMustBeKnown(t *testing.T) {
	if _, err := cpuTime(nil); err == nil {
		t.Error("CPU of no process")
	}
	if _, err := memoryOf(nil); err == nil {
		t.Error("memory of no process")
	}
	if _, err := cpuTime([]int{1 << 22}); err == nil {
		t.Error("CPU of a process that can't be")
	}
	if _, err := memoryOf([]int{1 << 22}); err == nil {
		t.Error("memory of a process that can't be")
	}
}

func TestMemory(t *testing.T) {
	pids := []int{os.Getpid()}
	before, err := memoryOf(pids)
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	after, err := memoryOf(pids)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Munmap(m); err != nil {
		t.Fatal(err)
	}
	const least = size * 9 / 10
	if after.RSS-before.RSS < least || after.Private-before.Private < least || after.VmRSS-before.VmRSS < least {
		t.Errorf("%+v before and %+v after mapping %d bytes", before, after, size)
	}
}

func TestSettled(t *testing.T) {
	pids := []int{os.Getpid()}
	turns := 0
	_, ok, err := settled(t.Context(), pids, time.Hour, func(time.Duration) error { turns++; return nil })
	if err != nil || !ok || turns < 10 {
		t.Errorf("settled %t after %d turns, %v", ok, turns, err)
	}
	var grown [][]byte
	_, ok, err = settled(t.Context(), pids, time.Nanosecond, func(time.Duration) error {
		grown = append(grown, make([]byte, 1<<20))
		return nil
	})
	if err != nil || ok {
		t.Errorf("settled %t within a nanosecond, %v; %d", ok, err, len(grown))
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct{ clients, limit, want int }{
		{1000, 20000, 1000}, {15000, 1024, 512}, {15000, 15600, 15000}, {15000, 15599, 14999}, {1000, 256, 128}, {10, 1, 1},
	} {
		if got := fit(c.clients, c.limit); got != c.want {
			t.Errorf("fit(%d, %d) is %d, want %d", c.clients, c.limit, got, c.want)
		}
	}
}
