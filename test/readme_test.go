package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readme returns the blocks of README's «Pick your door» in one language, with other ports, another
// program and other files than those that somebody may be using.
func readme(t *testing.T, language string, swap *strings.Replacer) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Pick your door\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for _, found := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, swap.Replace(found[1]))
	}
	return blocks
}

// tried is a copy of the examples whose ports are free ones.
func tried(t *testing.T) *strings.Replacer {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "examples")
	ports := strings.Fields(freePorts(t, 3))
	swap := strings.NewReplacer("8790", ports[0], "8733", ports[1], "examples/", dir+"/", "bin/keyhitch", binary,
		"demo --stay", "demo --stay --listen 127.0.0.1:"+ports[0], "serve --project", "serve --admin none --listen 127.0.0.1:"+ports[1]+" --project")
	for _, name := range []string{"keyhitch.yaml", "port/client-credentials.yaml"} {
		text, err := os.ReadFile(filepath.Join("../examples", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, swap.Replace(string(text)))
	}
	return swap
}

func TestReadmeDoorsOpen(t *testing.T) {
	needs(t, "bash", "curl")
	swap := tried(t)
	shell, program := readme(t, "sh", swap), readme(t, "go", swap)
	if len(shell) != 3 || len(program) != 1 {
		t.Fatalf("got %d blocks of sh and %d of Go, want 3 and 1", len(shell), len(program))
	}
	main := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(main, []byte(program[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := strings.ReplaceAll(shell[0], "go build", "true go build") // it is built already
	script := "set -e\ntrap 'kill $(jobs -p)' EXIT\n" + lines + "sleep 0.5\n" + shell[1] + "echo\n" + shell[2] + "echo\ngo run " + main + "\n"
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOFLAGS=", "KEYHITCH_PROJECT=")
	out, err := cmd.CombinedOutput()
	if n := strings.Count(string(out), `"hostname":"r1"`); err != nil || n != 2 || !strings.Contains(string(out), "\n200 OK\n") {
		t.Errorf("got %v and %d devices, want one from each door:\n%s", err, n, out)
	}
}
