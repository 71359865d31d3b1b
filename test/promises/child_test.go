package promises

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// A child is this test binary once more, as one process of a fleet: it opens the product's Redis
// and seal, and makes as many calls at once as a line on its standard input says. For each line
// it prints one, and it ends with its standard input.
//
//	call 250 ──▶ child ──▶ {"ok":250}

const (
	childFlag   = "--child"
	childConfig = "KEYHITCH_TEST_CHILD"
)

// childSettings is all that a child must be told.
type childSettings struct {
	System, Redis, Seal, Password string
	Wait                          time.Duration // of one token request
}

// childReport is what came of the calls of one line.
type childReport struct {
	OK    int    `json:"ok"`
	Error string `json:"error,omitempty"` // of one that failed
}

// childMain is a child's life. False: this process is none.
func childMain(args []string) (code int, ok bool) {
	if len(args) < 2 || args[1] != childFlag {
		return 0, false
	}
	var settings childSettings
	if err := json.Unmarshal([]byte(os.Getenv(childConfig)), &settings); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	alone := &lone{}
	defer alone.end()
	settings.serve(alone, os.Stdin, os.Stdout)
	return 0, true
}

// serve opens the process and makes calls until its input ends.
func (c childSettings) serve(t testing.TB, in io.Reader, out io.Writer) {
	password = c.Password
	fleet := sealOf(t, c.Seal)
	p := newUnserved(c.System).process(t, options{Keys: fleet.names, Cache: fleet.open(t, c.Redis), Wait: c.Wait})
	answers := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "call %d", &n); err != nil {
			t.Fatal(err)
		}
		_ = answers.Encode(p.herd(n))
	}
}

// herd makes n calls at once.
func (p *process) herd(n int) childReport {
	var mu sync.Mutex
	var report childReport
	all(n, func(int) {
		status, err := p.call(context.Background())
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			report.Error = err.Error()
		case status != 200:
			report.Error = fmt.Sprintf("status %d", status)
		default:
			report.OK++
		}
	})
	return report
}

// lone is a testing.TB outside of a test: enough of it for the rig.
type lone struct {
	testing.TB
	cleanups []func()
}

func (l *lone) Helper()           {}
func (l *lone) Cleanup(f func())  { l.cleanups = append(l.cleanups, f) }
func (l *lone) Fatal(args ...any) { fmt.Fprintln(os.Stderr, args...); os.Exit(1) }

func (l *lone) end() {
	for i := len(l.cleanups) - 1; i >= 0; i-- {
		l.cleanups[i]()
	}
}

// child is a running child.
type child struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// startChild starts a child that ends with the test.
func startChild(t testing.TB, settings childSettings) *child {
	t.Helper()
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(os.Args[0], childFlag)}
	c.cmd.Env = append(os.Environ(), childConfig+"="+string(text), "GORACE=atexit_sleep_ms=0") // by default it sleeps a second
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(stdout)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.end)
	return c
}

// end lets the child end by itself; one that was killed has ended.
func (c *child) end() {
	if c.cmd.ProcessState == nil {
		_ = c.stdin.Close()
		_ = c.cmd.Wait()
	}
}

// kill ends the child at once, with SIGKILL.
func (c *child) kill() {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = c.cmd.Wait()
}

// call has the child make n calls at once; answered waits for what came of them.
func (c *child) call(n int) {
	if _, err := fmt.Fprintf(c.stdin, "call %d\n", n); err != nil {
		c.t.Errorf("telling a child: %v", err)
	}
}

func (c *child) answered() childReport {
	var report childReport
	if !c.lines.Scan() {
		report.Error = "the child has ended"
	} else if err := json.Unmarshal(c.lines.Bytes(), &report); err != nil {
		report.Error = err.Error()
	}
	return report
}
