//go:build unix

package main

import (
	"context"
	"net"
	"syscall"
)

// privateSocket makes a socket with mode 0600 from the beginning where the system allows it: between
// bind and chmod others could connect.
func privateSocket(path string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) }) // not on every system: chmod follows
	}}
	return config.Listen(context.Background(), "unix", path)
}
