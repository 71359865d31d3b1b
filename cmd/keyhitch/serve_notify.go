package main

import (
	"net"
	"os"
)

// notify tells systemd how the service is (sd_notify(3)). Where nobody listens it does nothing.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return // a service manager that has gone is no reason to stop
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte(state))
}
