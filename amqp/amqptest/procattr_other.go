//go:build !linux

package amqptest

import "syscall"

// procAttr makes a child lead its own group.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
