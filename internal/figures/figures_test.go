package figures_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/internal/figures"
)

func page(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWriteReplacesOneSectionHoweverOften(t *testing.T) {
	file := page(t, "# Title\n<!-- a:begin -->\nold\n<!-- a:end -->\nkept\n<!-- b:begin --><!-- b:end -->\n")
	for range 2 {
		if err := figures.Write(file, "a", "| new |\n"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	want := "# Title\n<!-- a:begin -->\n\n| new |\n\n<!-- a:end -->\nkept\n<!-- b:begin --><!-- b:end -->\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestWriteSaysWhichMarkerIsMissing(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"none", "text", "page.md: there is no <!-- a:begin -->"},
		{"no end", "<!-- a:begin -->", "page.md: there is no <!-- a:end --> after <!-- a:begin -->"},
		{"wrong order", "<!-- a:end --><!-- a:begin -->", "page.md: there is no <!-- a:end --> after <!-- a:begin -->"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := page(t, test.text)
			err := figures.Write(file, "a", "x")
			if err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if got, _ := os.ReadFile(file); string(got) != test.text {
				t.Errorf("the file became %q, want it untouched", got)
			}
		})
	}
}

func TestWriteNeedsAFile(t *testing.T) {
	if err := figures.Write(filepath.Join(t.TempDir(), "none.md"), "a", "x"); !os.IsNotExist(err) {
		t.Errorf("got %v, want that there is no such file", err)
	}
}
