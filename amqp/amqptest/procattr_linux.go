package amqptest

import "syscall"

// procAttr makes a child lead its own group, and die with us.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
