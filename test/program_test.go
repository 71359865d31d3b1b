// Package test runs the built program end to end, against pretend systems on loopback.
package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var binary string

func TestMain(m *testing.M) { os.Exit(withBinary(m)) }

// withBinary builds the program once, as a user would.
func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "keyhitch")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "keyhitch")
	build := exec.Command("go", "build", "-o", binary, "../cmd/keyhitch")
	build.Env = append(os.Environ(), "GOFLAGS=") // the program as users have it, without -race
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// system is a pretend system with a login. It counts what it is asked.
type system struct {
	*httptest.Server
	logins, calls atomic.Int64
	serve         http.HandlerFunc // answers who is logged in
	login         http.HandlerFunc // runs before a login is answered; nil: nothing

	mu    sync.Mutex
	valid string
}

func newSystem(t *testing.T) *system {
	s := &system{serve: func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"id":%s}`, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP gives out tokens, and answers who shows the valid one.
func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == "/login" && s.login != nil {
		s.login(w, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/login" {
		s.valid = fmt.Sprintf("token-%d", s.logins.Add(1))
		_, _ = fmt.Fprintf(w, `{"sid":%q}`, s.valid)
		return
	}
	s.calls.Add(1)
	if r.Header.Get("X-Auth-Token") != s.valid {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.mu.Unlock()
	s.serve(w, r)
	s.mu.Lock()
}

func (s *system) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.valid = "nobody has this one"
}

// home writes an adapter home for s: a login, and thing/get.
func (s *system) home(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"service-instance.json": fmt.Sprintf(`{"host": %q, "port": %s, "authentication": {"auth_method": "request_token", "username": "ann",
			"password": "correct-horse-battery", "token_timeout": 600000, "auth_field": "header.headers.X-Auth-Token"}}`, host, port),
		"entities/.system/action.json": `{"actions": [{"name": "getToken", "protocol": "REST", "method": "POST", "entitypath": "/login",
			"requestSchema": "login.json", "responseSchema": "token.json"}]}`,
		"entities/.system/login.json": `{"type": "object", "properties": {"username": {"type": "string"}, "password": {"type": "string"}}}`,
		"entities/.system/token.json": `{"type": "object", "properties": {"token": {"type": "string", "placement": "BODY", "external_name": "sid"}}}`,
		"entities/thing/action.json":  `{"actions": [{"name": "get", "protocol": "REST", "method": "GET", "entitypath": "/things/{pathv1}", "schema": "thing.json"}]}`,
		"entities/thing/thing.json":   `{"type": "object", "translate": true, "properties": {"number": {"type": "integer", "external_name": "id"}}}`,
	} {
		write(t, home, name, text)
	}
	return home
}

func write(t *testing.T, home, name, text string) {
	t.Helper()
	file := filepath.Join(home, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// line is one line of a batch; its number is what the system answers.
func line(n int) string {
	return fmt.Sprintf(`{"entity":"thing","action":"get","request":{"uriPathVars":[%d]}}`+"\n", n)
}

// answered is one line of what a batch prints.
type answered struct {
	Line   int
	Result struct {
		Response struct{ Number int }
	}
	Error struct {
		ICode    string
		IAPError struct{ Code int }
	}
}

// program starts the program with a batch on standard input.
func program(t *testing.T, stdin io.Reader, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr
}

// batch runs a batch to its end and returns its answers, the exit code, and the most memory that it
// took, in KiB.
func batch(t *testing.T, stdin io.Reader, args ...string) (list []answered, code, memory int) {
	t.Helper()
	cmd, stderr := program(t, stdin, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak := watchMemory(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	memory = peak()
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var a answered
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		list = append(list, a)
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error: %s", stderr)
	}
	return list, cmd.ProcessState.ExitCode(), memory
}
