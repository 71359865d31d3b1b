package main

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
)

const unixPrefix = "unix:"

// local reports whether only this machine reaches the address.
func local(address string) bool {
	if strings.HasPrefix(address, unixPrefix) {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// where is the address for callers.
func (s *server) where(l *load) string {
	return firstOf(s.listen, os.Getenv("KEYHITCH_LISTEN"), l.settings.Gateway.Listen)
}

// whereAdmin is the address for operators; empty: there is none.
func (s *server) whereAdmin(l *load) string {
	address := firstOf(s.admin, os.Getenv("KEYHITCH_ADMIN"), l.settings.Gateway.Admin)
	if address == "none" {
		return ""
	}
	return address
}

// reachable refuses addresses that would let in whoever finds them.
func (s *server) reachable(l *load) error {
	var found adapter.Problems
	public, admin := s.where(l), s.whereAdmin(l)
	if s.bound != "" && !local(s.bound) {
		public = s.bound // a reload does not move it, whatever the file says now
	}
	if !local(public) && len(l.settings.Gateway.Callers) == 0 {
		found = append(found, &adapter.Problem{File: "listen " + public, Reason: "other machines could use every credential: " +
			"list who may call under gateway.callers, or listen on 127.0.0.1 or unix:/path"})
	}
	if admin != "" && !local(admin) {
		found = append(found, &adapter.Problem{File: "admin " + admin, Reason: "other machines could read metrics and profiles: " +
			"use 127.0.0.1, unix:/path or none"})
	}
	if len(found) == 0 {
		return nil
	}
	return &adapter.ConfigError{Problems: found}
}

// listenOn opens a listener; flag names the way to another address.
func listenOn(address, flag string) (net.Listener, error) {
	path, unix := strings.CutPrefix(address, unixPrefix)
	var l net.Listener
	var err error
	if unix {
		l, err = listenUnix(path)
	} else {
		l, err = net.Listen("tcp", address)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, unusable(flag+" "+address, "another program listens there; stop it, or choose another address")
	case errors.As(err, new(*adapter.ConfigError)):
		return nil, err
	case err != nil:
		return nil, unusable(flag+" "+address, "cannot be listened on: %v", plainListen(err))
	}
	return l, nil
}

// plainListen is the cause without the address, which the reader knows.
func plainListen(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}

// listenUnix opens a socket that only our own user can connect to. A socket that a dead process
// left is removed; anything else in that place stays.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSocket == 0:
		return nil, unusable(unixPrefix+path, "is there already and is no socket; remove it, or choose another path")
	case answers(path):
		return nil, syscall.EADDRINUSE
	default:
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := privateSocket(path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// answers reports whether somebody listens on a socket.
func answers(path string) bool {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
