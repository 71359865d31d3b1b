package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// badInput is something wrong. What a stranger is told about it stands in testdata/badinput.golden,
// with the exit code, the icode on standard output, and what the system got: nothing after the step
// that failed. In args HOME is the home.
type badInput struct {
	name   string
	files  map[string]string           // laid over the home; "" removes, PORT is the system's
	system map[string]http.HandlerFunc // what the system answers instead
	prep   func(testing.TB, string)    // what else is done, with the home
	args   string                      // begins with --: call HOME device getDevice --path 7 goes before
}

const login = "POST /api/login"

func TestBadInput(t *testing.T) {
	file := filepath.Join("testdata", "badinput.golden")
	data, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := map[string]string{}
	for section := range strings.SplitSeq(string(data), "\n## ") {
		name, text, _ := strings.Cut(strings.TrimPrefix(section, "## "), "\n")
		want[name] = strings.TrimSpace(text)
	}
	cases := slices.Concat(badFiles, badCalls, badAnswers, badLogins, badNetworks, notBuilt, badPorts)
	outcomes := make([]string, len(cases))
	t.Run("cases", func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				outcomes[i] = c.outcome(t)
				if outcomes[i] != want[c.name] && !*update {
					t.Errorf("got\n%s\nwant\n%s", outcomes[i], want[c.name])
				}
			})
		}
	})
	if *update {
		var golden strings.Builder
		for i, c := range cases {
			golden.WriteString("## " + c.name + "\n" + outcomes[i] + "\n\n")
		}
		write(t, file, golden.String())
	}
}

// outcome runs the case and tells all that can be seen of it.
func (c badInput) outcome(t *testing.T) string {
	p, home := pretending(t)
	for name, text := range c.files {
		write(t, filepath.Join(home, name), strings.ReplaceAll(text, "PORT", p.Port))
	}
	for what, h := range c.system {
		p.instead(what, h)
	}
	if c.prep != nil {
		c.prep(t, home)
	}
	args := strings.Fields(strings.ReplaceAll(c.args, "HOME", home))
	if len(args) == 0 || strings.HasPrefix(args[0], "--") {
		args = append([]string{"call", home, "device", "getDevice", "--path", "7"}, args...)
	}
	var out, errOut bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(""), &out, &errOut)
	back := strings.NewReplacer(home, "HOME", p.URL, "URL", ":"+p.Port, ":PORT")
	told := fmt.Sprintf("exit %d %s\nsent %s\n%s", code, icodeOf(out.String()), p.summary(), back.Replace(errOut.String()))
	return strings.TrimSpace(told)
}

func icodeOf(stdout string) string {
	var f struct{ ICode string }
	_ = json.Unmarshal([]byte(stdout), &f)
	return f.ICode
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if text == "" {
		_ = os.Remove(path)
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// says answers with a status, a type and a body.
func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func at(what string, h http.HandlerFunc) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{what: h}
}

// slow answers long after everybody has left.
func slow(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(10 * time.Second):
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// babble answers something that is no HTTP.
func babble(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
		_ = conn.Close()
	}
}

func TestInterruptedRunSaysSo(t *testing.T) {
	p, home := pretending(t)
	p.instead("GET /api/odd/slow", slow)
	ctx, interrupt := context.WithCancel(context.Background())
	go func() {
		for p.count("GET /api/odd/slow") == 0 {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	var out, errOut bytes.Buffer
	code := run(ctx, []string{"call", home, "probe", "odd", "--path", "slow"}, nil, &out, &errOut)
	if code != 130 || errOut.String() != "keyhitch: interrupted\n" {
		t.Errorf("got exit code %d and %q, want 130 and interrupted", code, errOut.String())
	}
}
