//go:build !unix

package main

import "net"

// privateSocket makes a socket.
func privateSocket(path string) (net.Listener, error) { return net.Listen("unix", path) }
