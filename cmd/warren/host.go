package main

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"syscall"
)

// nodeName makes up a node's name: the host's, and a random suffix because
// several nodes may share a host.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	host, _, _ = strings.Cut(host, ".")
	host = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, host)
	var suffix [3]byte
	rand.Read(suffix[:]) // never fails
	return host[:min(len(host), 48)] + "-" + hex.EncodeToString(suffix[:])
}

// descriptors is how many files and sockets this process may have open; 0 if
// that is unknown. Go's start has raised the soft limit to the hard one.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur) // signed on FreeBSD
}
