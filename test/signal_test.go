package test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hung returns a system whose calls are answered when the caller has gone, and a channel that
// tells of each call.
func hung(t *testing.T) (*system, <-chan struct{}) {
	s := newSystem(t)
	begun := make(chan struct{}, 100)
	s.serve = func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	}
	return s, begun
}

// interrupted sends the signal when ready, and returns the exit code; it must come promptly.
func interrupted(t *testing.T, cmd *exec.Cmd, ready func()) int {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGINT to send")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_ = cmd.Wait()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %s to end, want promptly", took)
	}
	return cmd.ProcessState.ExitCode()
}

func TestInterruptedCall(t *testing.T) {
	s, begun := hung(t)
	cmd, stderr := program(t, nil, "call", s.home(t), "thing", "get", "--path", "1")
	if code := interrupted(t, cmd, func() { <-begun }); code != 130 || stderr.String() != "keyhitch: interrupted\n" {
		t.Errorf("got exit code %d and %q, want 130", code, stderr)
	}
}

func TestInterruptedRequest(t *testing.T) {
	s, begun := hung(t)
	cmd, stderr := program(t, nil, "request", s.home(t), "GET", "/things/1")
	if code := interrupted(t, cmd, func() { <-begun }); code != 130 || stderr.String() != "keyhitch: interrupted\n" {
		t.Errorf("got exit code %d and %q, want 130", code, stderr)
	}
}

// The calls under way end; the reader, which waits for input, is not waited for.
func TestInterruptedBatch(t *testing.T) {
	s, begun := hung(t)
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = out.Close() }()
	cmd, stderr := program(t, in, "call", s.home(t), "--batch", "-", "--parallel", "4")
	code := interrupted(t, cmd, func() {
		_, _ = io.WriteString(out, line(1)+line(2))
		<-begun
		<-begun
	})
	if code != 130 || !strings.Contains(stderr.String(), "keyhitch: interrupted") {
		t.Errorf("got exit code %d and %q, want 130", code, stderr)
	}
}
