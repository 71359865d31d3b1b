package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPortPageRuns runs every sh block of docs/port.md, in order and in one shell, against the
// pretend systems that the page speaks of.
func TestPortPageRuns(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	address, end := stay(t)
	defer func() { _ = end() }()
	page, err := os.ReadFile(filepath.Join("..", "docs", "port.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copied := os.DirFS(filepath.Join("..", "examples", "port"))
	if err := os.CopyFS(filepath.Join(dir, "examples", "port"), copied); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("127.0.0.1:8790", address)
	files, _ := filepath.Glob(filepath.Join(dir, "examples", "port", "*"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Dir(file), filepath.Base(file), here.Replace(string(data)))
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 9 || len(files) < 8 {
		t.Fatalf("the page has %d blocks for %d files, want 9 or more for 8", len(blocks), len(files))
	}
	for _, file := range files {
		if name := filepath.Base(file); name != "password.txt" && !strings.Contains(string(page), " examples/port/"+name) {
			t.Errorf("no command of the page uses %s", name)
		}
	}
	var script strings.Builder
	for _, block := range blocks {
		script.WriteString(here.Replace(block[1]))
	}
	cmd := exec.CommandContext(t.Context(), shell, "-eux", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if got := strings.Count(string(out), `[{"hostname":"r1","oper_state":"up"}]`); got != 8 {
		t.Errorf("%d requests brought the devices, want 8:\n%s", got, out)
	}
}
