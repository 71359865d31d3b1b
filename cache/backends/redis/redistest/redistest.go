// Package redistest starts real Redis servers for tests: each a process of its own, on a free
// port of loopback, in a folder that goes away with the test.
//
//	Start ─▶ Server ─ Addr, Do, Kill, Restart
//	StartSentinel ─▶ Server that watches over a master
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const program = "redis-server"

// Server is one redis-server process.
type Server struct {
	Port int

	tb      testing.TB
	args    []string
	process *exec.Cmd
	ended   chan struct{}
	output  bytes.Buffer // read after ended
}

// Start starts a redis-server with these further arguments, and waits until it listens. It
// skips the test where the program is missing, unless CI is set: then the test fails.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	dir := tb.TempDir()
	return start(tb, func(port int) []string {
		return append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "no", "--loglevel", "warning", "--logfile", "redis.log"}, args...)
	})
}

// StartTLS is Start for a server that speaks only TLS, with these PEM files.
func StartTLS(tb testing.TB, certificate, key, authority string, args ...string) *Server {
	tb.Helper()
	dir := tb.TempDir()
	return start(tb, func(port int) []string {
		return append([]string{"--port", "0", "--tls-port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--loglevel", "warning", "--logfile", "redis.log", "--tls-auth-clients", "no",
			"--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority}, args...)
	})
}

// StartSentinel starts a Sentinel that watches over the master called name and fails over
// on its own, half a second after the master is gone.
func StartSentinel(tb testing.TB, name string, master *Server) *Server {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "sentinel.conf")
	return start(tb, func(port int) []string {
		config := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %q\nlogfile sentinel.log\nsentinel monitor %[3]s 127.0.0.1 %d 1\n"+
			"sentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 2000\n", port, filepath.Dir(file), name, master.Port)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			tb.Fatal(err)
		}
		return []string{file, "--sentinel"}
	})
}

func start(tb testing.TB, args func(port int) []string) *Server {
	tb.Helper()
	_, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatalf("%s is not installed, and CI must not skip: %v", program, err)
		}
		tb.Skipf("%s is not installed (apt-get install redis-server): %v", program, err)
	}
	s := &Server{tb: tb}
	tb.Cleanup(s.Kill)
	for range 5 { // another program may take the free port before the server does
		s.Port = FreePort(tb)
		s.args = args(s.Port)
		if err = s.run(); err == nil {
			return s
		}
		s.Kill()
	}
	tb.Fatalf("%s does not start: %v", program, err)
	return nil
}

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Kill ends the process at once, with SIGKILL.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// Restart starts a killed server again, on its port, with nothing in its memory.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Kill()
	if err := s.run(); err != nil {
		s.tb.Fatalf("%s does not start again: %v", program, err)
	}
}

// run starts the process, and waits until it answers: with an error, if it wants a password
// or TLS.
func (s *Server) run() error {
	s.output.Reset()
	s.process = exec.Command(program, s.args...)
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	if err := s.process.Start(); err != nil {
		s.process = nil
		return err
	}
	s.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait()
		close(ended)
	}(s.process, s.ended)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		select {
		case <-s.ended:
			s.process = nil
			return fmt.Errorf("it has ended: %s", s.output.String())
		case <-time.After(10 * time.Millisecond):
		}
		if s.answers() {
			return nil
		}
	}
	return fmt.Errorf("nobody answers on %s", s.Addr())
}

func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	n, err := conn.Read(make([]byte, 1))
	return n == 1 || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) // TLS hangs up
}

// Do sends one command as the default user and returns its answer; an error ends the test.
func (s *Server) Do(args ...any) any {
	s.tb.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: s.Addr(), DisableIdentity: true})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := client.Do(ctx, args...).Result()
	if err != nil && err != goredis.Nil {
		s.tb.Fatalf("%v: %v", args[0], err)
	}
	return answer
}

// FreePort returns a port that stays ours while its server is killed: below those that the
// system hands out by itself, and none that this process used before.
func FreePort(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		if _, used := ports.LoadOrStore(port, true); used {
			continue
		}
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatal("no free port")
	return 0
}

var ports sync.Map // those used in this process
