package bench

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gateway is one that runs. Calls go to url.
type gateway struct {
	pid   int
	url   string
	admin string // URL of our admin listener
}

// launch starts a program that will listen at address.
func launch(t testing.TB, cmd *exec.Cmd, address string) *gateway {
	t.Helper()
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { end(cmd.Process, ended) })
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return &gateway{pid: cmd.Process.Pid, url: "http://" + address}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended instead of listening: %v", filepath.Base(cmd.Path), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not listen at %s", filepath.Base(cmd.Path), address)
	return nil
}

func end(p *os.Process, ended <-chan error) {
	_ = p.Signal(syscall.SIGTERM)
	late := time.AfterFunc(5*time.Second, func() { _ = p.Kill() })
	defer late.Stop()
	<-ended
}

// listen serves what a child is for: it tells where, and goes on until its parent lets go of it,
// or is gone.
func listen(parent io.Reader, serve func(net.Listener) error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { panic(serve(l)) }()
	fmt.Println("http://" + l.Addr().String())
	_, _ = io.Copy(io.Discard, parent)
}

// free is an address that nobody listens at.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// cpu is the CPU time that the process has used.
func (p *gateway) cpu(t testing.TB) time.Duration {
	t.Helper()
	text := p.read(t, "stat")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // the name before it may hold blanks
	var ticks int
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		must(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// memory is a line of the process's status in MiB: VmRSS, what is resident; VmHWM, the most that was.
func (p *gateway) memory(t testing.TB, name string) float64 {
	t.Helper()
	for line := range strings.Lines(p.read(t, "status")) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			must(t, err)
			return kib / 1024
		}
	}
	t.Fatalf("process %d has no %s", p.pid, name)
	return 0
}

func (p *gateway) read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.pid, file))
	must(t, err)
	return string(text)
}
