package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"keyhitch": main})
}

// TestScripts runs testdata/script: the manual of the command line. Each script has a pretend
// system of its own ($URL, $HOST, $PORT), and a home that points to it in acme.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			p := newPretend()
			env.Defer(p.close)
			env.Values["pretend"] = p
			env.Setenv("URL", p.URL)
			env.Setenv("HOST", p.Host)
			env.Setenv("PORT", p.Port)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GOCOVERDIR", os.Getenv("GOCOVERDIR"))
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every command takes a second more
			env.Setenv("CI", "")                      // a terminal is no terminal in CI; scripts have none anyway
			return copyHome(filepath.Join(env.WorkDir, "acme"), p.Port)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"requests": requests, "sent": sent, "json": sameJSON, "curls": curls, "alike": alike, "exit": exitWith,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func system(ts *testscript.TestScript) *pretend { return ts.Value("pretend").(*pretend) }

// exitWith runs keyhitch and asserts its exit code: exit 3 keyhitch validate bad.
func exitWith(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		if got = exitStatus(err); got < 0 {
			ts.Fatalf("%v", err)
		}
	}
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

func exitStatus(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return -1
}

// requests asserts how many requests the system got: requests 'POST /api/login' 1, or requests 0.
func requests(ts *testscript.TestScript, _ bool, args []string) {
	what := strings.Join(args[:len(args)-1], " ")
	want, err := strconv.Atoi(args[len(args)-1])
	ts.Check(err)
	if got := system(ts).count(what); got != want {
		ts.Fatalf("the system got %d requests %s, want %d:\n%s", got, what, want, system(ts).sent(0))
	}
}

// sent asserts that what the system got, as HTTP text, matches a regular expression.
func sent(ts *testscript.TestScript, neg bool, args []string) {
	text := system(ts).sent(0)
	if regexp.MustCompile("(?m)"+args[0]).MatchString(text) == neg {
		ts.Fatalf("the system got:\n%s", text)
	}
}

// sameJSON compares JSON: json stdout want.json. In the wanted file $NAME is a variable, and "…"
// stands for any value. Both may hold several values, as JSON lines do.
func sameJSON(ts *testscript.TestScript, _ bool, args []string) {
	got := values(ts, ts.ReadFile(args[0]))
	want := values(ts, os.Expand(ts.ReadFile(args[1]), ts.Getenv))
	if diff := cmp.Diff(want, blurred(got, want)); diff != "" {
		ts.Fatalf("%s: -want +got:\n%s", args[0], diff)
	}
}

func values(ts *testscript.TestScript, text string) []any {
	var list []any
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		err := dec.Decode(&v)
		if err == io.EOF {
			return list
		}
		ts.Check(err)
		list = append(list, v)
	}
}

// blurred is got with … where want has it.
func blurred[T any](got, want T) T {
	return blur(any(got), any(want)).(T)
}

func blur(got, want any) any {
	switch w := want.(type) {
	case string:
		if w == "…" && got != nil {
			return w
		}
	case []any:
		if list, ok := got.([]any); ok && len(list) == len(w) {
			for i := range list {
				list[i] = blur(list[i], w[i])
			}
		}
	case map[string]any:
		if object, ok := got.(map[string]any); ok {
			for name := range object {
				object[name] = blur(object[name], w[name])
			}
		}
	}
	return got
}

// curls runs the last command of a file that --curl printed, with a real shell and a real curl,
// and gives its output to stdout.
func curls(ts *testscript.TestScript, _ bool, args []string) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			ts.Fatalf("curl is not installed, and CI must not skip this")
		}
		ts.Logf("skipped: curl is not installed")
		return
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	cmd := exec.Command("sh", "-c", lines[len(lines)-1]+" --silent --show-error --noproxy '*'")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		ts.Fatalf("%v: %s", err, out.String())
	}
}

// alike asserts that the last two requests were the same, but for what each client says of itself.
func alike(ts *testscript.TestScript, _ bool, _ []string) {
	p := system(ts)
	p.mu.Lock()
	defer p.mu.Unlock()
	own := regexp.MustCompile(`(?m)^(User-Agent|Accept-Encoding|Accept: \*/\*).*\n`)
	last := p.whole[max(0, len(p.whole)-2):]
	if _, err := exec.LookPath("curl"); err != nil {
		return // curls has said so
	}
	if diff := cmp.Diff(own.ReplaceAllString(last[0], ""), own.ReplaceAllString(last[1], "")); diff != "" {
		ts.Fatalf("-curl +keyhitch:\n%s", diff)
	}
}
