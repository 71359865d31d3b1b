package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReadmeCommandsRun runs every keyhitch command of README's sh blocks; what would send only
// says so.
func TestReadmeCommandsRun(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("DEMO_SECRET", "pretend-secret-5") // as README has it
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			args, ok := readmeCommand(t, line)
			if !ok {
				continue
			}
			ran++
			var out, errOut bytes.Buffer
			if code := run(t.Context(), args, nil, &out, &errOut); code != 0 {
				t.Errorf("%s: exit code %d: %s%s", strings.TrimSpace(line), code, out.String(), errOut.String())
			}
		}
	}
	if ran < 3 {
		t.Errorf("README has %d keyhitch commands, want 3 or more", ran)
	}
}

// readmeCommand returns a line's arguments as a shell would give them.
func readmeCommand(t *testing.T, line string) (args []string, ok bool) {
	t.Helper()
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	if len(words) < 2 || filepath.Base(words[0]) != "keyhitch" {
		return nil, false
	}
	for _, word := range words[1:] {
		if found, err := filepath.Glob(word + "entities"); err == nil && strings.HasSuffix(word, "*/") {
			for _, inside := range found {
				args = append(args, filepath.Dir(inside))
			}
			continue
		}
		args = append(args, word)
	}
	sends := slices.Contains([]string{"call", "request", "token", "check"}, args[0])
	if sends && !slices.Contains(args, "--dry-run") {
		args = append(args, "--dry-run")
	}
	return args, args[0] != "demo" && args[0] != "serve" // test/readme_test.go runs them
}
