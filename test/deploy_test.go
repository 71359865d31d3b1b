package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// needs skips the test where a program is missing, unless CI is set: then the test fails.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and CI must not skip", name)
		}
		t.Skipf("%s is not installed", name)
	}
}

func TestServiceUnitIsValid(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed, and systemd is too large to install for one check")
	}
	text, err := os.ReadFile("../deploy/keyhitch.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "keyhitch.service", strings.Replace(string(text), "/usr/local/bin/keyhitch", binary, 1)) // verify wants the program
	out, err := exec.Command("systemd-analyze", "verify", filepath.Join(dir, "keyhitch.service")).CombinedOutput()
	if err != nil || strings.Contains(string(out), "keyhitch.service:") {
		t.Errorf("got %v: %s", err, out)
	}
}

// builtFrom lists the files that the program is built from, below the module's root.
func builtFrom(t *testing.T) []string {
	t.Helper()
	const format = `{{if not .Standard}}{{if .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, "../cmd/keyhitch").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"go.mod", "go.sum"}
	for file := range strings.Lines(string(out)) {
		below, err := filepath.Rel(root, strings.TrimSpace(file))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.ToSlash(below))
	}
	return files
}

// ignores reports whether a rule of .dockerignore leaves a file or its folder out.
func ignores(rule, file string) bool {
	anywhere, deep := strings.CutPrefix(rule, "**/")
	if !deep {
		return file == rule || strings.HasPrefix(file, rule+"/")
	}
	return slices.ContainsFunc(strings.Split(file, "/"), func(part string) bool {
		matches, _ := path.Match(anywhere, part)
		return matches
	})
}

func TestImageIsBuiltFromWhatIsNotIgnored(t *testing.T) {
	text, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	files := builtFrom(t)
	for rule := range strings.Lines(string(text)) {
		if rule = strings.TrimSpace(rule); strings.HasPrefix(rule, "#") {
			continue
		}
		for _, file := range files {
			if ignores(rule, file) {
				t.Errorf("%s leaves out %s, which the program is built from", rule, file)
			}
		}
	}
	if len(files) < 100 || !ignores("**/*_test.go", "adapter/call_test.go") || !ignores("test", "test/deploy_test.go") {
		t.Errorf("looked at %d files, or the rules are misread", len(files))
	}
}

// runFleet runs a copy of the example, with a change.
func runFleet(t *testing.T, change func(dir string)) (said string, err error) {
	t.Helper()
	needs(t, "bash", "curl", "redis-server", "redis-cli")
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS("../examples/fleet")); err != nil {
		t.Fatal(err)
	}
	_ = os.RemoveAll(filepath.Join(copied, "run"))
	change(copied)
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(copied, "start.sh"))
	cmd.Env = append(os.Environ(), "KEYHITCH="+binary, "FLEET_PORTS="+freePorts(t, 4), "KEYHITCH_PROJECT=", "KEYHITCH_REDIS_URL=", "KEYHITCH_SEAL_KEY=")
	out, err := cmd.CombinedOutput()
	logs, _ := exec.Command("sh", "-c", "tail -5 "+copied+"/run/*.log").CombinedOutput()
	return string(out) + string(logs), err
}

func TestFleetExampleShowsOneLogin(t *testing.T) {
	said, err := runFleet(t, func(string) {})
	if err != nil || !strings.Contains(said, "41 calls answered by two gateways, 1 login.") {
		t.Errorf("got %v: %s", err, said)
	}
}

func TestFleetExampleFailsWhenItShowsSomethingElse(t *testing.T) {
	said, err := runFleet(t, func(dir string) {
		text, err := os.ReadFile(filepath.Join(dir, "orders.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "orders.yaml", strings.Replace(string(text), "tokenCache: redis\n", "", 1)) // each logs in alone
	})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(said, "want 41 calls and 1 login") {
		t.Errorf("got %v, want exit 1 and why: %s", err, said)
	}
}

// freePorts are ports that nobody has now. They are let go together, so that they differ.
func freePorts(t *testing.T, n int) string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	}
	return strings.Join(ports, " ")
}
