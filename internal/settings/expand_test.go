package settings_test

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/internal/settings"
)

var lookup = settings.Lookup{
	Env: func(name string) (string, bool) {
		v, ok := map[string]string{"A": "one", "B": "${env:A}", "EMPTY": "", "D": "$", "BAD": "\xff"}[name]
		return v, ok
	},
	File: func(path string) ([]byte, error) {
		switch path {
		case "f":
			return []byte("text\n"), nil
		case "crlf":
			return []byte("text\n\r\n"), nil
		case "cr":
			return []byte("text\r"), nil
		case "binary":
			return []byte{0xff}, nil
		case "large":
			return make([]byte, 1<<20+1), nil
		case "locked":
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
		case "broken":
			return nil, errors.New("S3CRET")
		}
		return nil, fs.ErrNotExist
	},
}

func TestExpand(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "${env:A}": "one", "a ${env:A} b ${env:A}": "a one b one", "${env:EMPTY}": "", "${file:f}": "text",
		"${file:crlf}": "text\n", "${file:cr}": "text\r", "${env:B}": "${env:A}", "$${env:A}": "${env:A}", "$$${env:A}": "$${env:A}",
		"$ {x} $5 $$": "$ {x} $5 $$", "${env:D}{env:A}": "${env:A}", "$${": "${", "{token}": "{token}",
	} {
		tree := map[string]any{"a": []any{text, true, nil}}
		got, problems := settings.Expand(tree, "", lookup)
		if len(problems) > 0 {
			t.Errorf("%q: %v", text, problems)
		}
		if want := (map[string]any{"a": []any{want, true, nil}}); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if tree["a"].([]any)[0] != text {
			t.Errorf("%q: the tree was changed", text)
		}
	}
}

func TestExpandNamesWhatIsMissing(t *testing.T) {
	other := "has a ${…} that is neither ${env:NAME} nor ${file:PATH}; $${ stands for a literal ${"
	for text, want := range map[string]string{
		"S3CRET${env:NOPE}":  "wants the environment variable NOPE, which is not set",
		"${env:BAD}":         "wants the environment variable BAD, which is not UTF-8 text",
		"${file:none}":       "wants the file none, which does not exist",
		"${file:locked}":     "wants the file locked, which may not be read",
		"${file:broken}":     "wants the file broken, which cannot be read",
		"${file:binary}":     "wants the file binary, which is not UTF-8 text",
		"${file:large}":      "wants the file large, which is larger than 1 MiB",
		"${S3CRET}":          other,
		"${S3CRET:x}":        other,
		"${env:}":            other,
		"${file:}":           other,
		"${env:a\nS3CRET}":   other,
		"a${env:S3CRET":      "has a ${ that is never closed; $${ stands for a literal ${",
		"${env:A} ${S3CRET ": "has a ${ that is never closed; $${ stands for a literal ${",
	} {
		tree := map[string]any{"list": []any{"x", map[string]any{"a/b": text}}}
		got, problems := settings.Expand(tree, "/properties", lookup)
		if len(problems) != 1 || problems[0].Error() != "/properties/list/1/a~1b: "+want || problems[0].Warning {
			t.Errorf("%q: got %v, want %q", text, problems, want)
		}
		if strings.Contains(problems.Error(), "S3CRET") {
			t.Errorf("%q: %v shows the text", text, problems)
		}
		if !reflect.DeepEqual(got, any(tree)) {
			t.Errorf("%q: got %v, want the text as it was", text, got)
		}
	}
}

func TestExpandReportsEveryProblemInOrder(t *testing.T) {
	tree := map[string]any{"b": "${env:Y}", "a": "${env:X}", "c": "${env:A}"}
	got, problems := settings.Expand(tree, "", settings.Lookup{})
	want := "/a: wants the environment variable X, which is not set\n" +
		"/b: wants the environment variable Y, which is not set\n/c: wants the environment variable A, which is not set"
	if problems.Error() != want || got == nil {
		t.Errorf("got %v, want %v", problems, want)
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"a", "${env:A}", "$${", "$$${env:A}${file:f}", "${", "${env:", "${x:y}", "$", "${env:}", "${file:none}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, problems := settings.Expand(text, "", settings.Lookup{Env: func(name string) (string, bool) { return "<" + name + ">", true }})
		if len(problems) > 0 {
			if got != text {
				t.Fatalf("got %q with a problem, want the text as it was", got)
			}
			return
		}
		// What was written as a literal comes back as written, so escaping everything changes nothing.
		escaped := strings.ReplaceAll(text, "${", "$${")
		if strings.Contains(text, "$${") {
			return
		}
		if got, problems := settings.Expand(escaped, "", settings.Lookup{}); len(problems) > 0 || got != text {
			t.Fatalf("escaped %q: got %q, %v, want %q", escaped, got, problems, fmt.Sprint(text))
		}
	})
}
