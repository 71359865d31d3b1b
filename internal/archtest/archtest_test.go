package archtest_test

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyhitch/keyhitch/internal/archtest"
)

func TestTheModuleKeepsItsArrows(t *testing.T) {
	problems, err := archtest.Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

func TestArrows(t *testing.T) {
	for _, tt := range []struct {
		file    string
		imports string // of ours; "." is the module's root
		refused string // the reason; empty when allowed
	}{
		{file: "cache/cache.go", imports: "auth", refused: "knows nothing of ours"},
		{file: "cache/cache.go", imports: "cache/backends/memory", refused: "knows nothing of ours"},
		{file: "cache/cache_test.go", imports: "auth", refused: "knows nothing of ours"},
		{file: "cache/cache_test.go", imports: "cache"},
		{file: "cache/cachetest/run.go", imports: "cache"},
		{file: "cache/backends/backends.go", imports: "cache/backends/memory"},
		{file: "cache/backends/backends.go", imports: "auth", refused: "names its members"},
		{file: "cache/backends/memory/m.go", imports: "cache"},
		{file: "cache/backends/memory/m.go", imports: "cache/backends/memory/internal/ring"},
		{file: "cache/backends/memory/m.go", imports: "cache/backends/redis", refused: "the seam it fills"},
		{file: "cache/backends/memory/m.go", imports: "cache/cachetest", refused: "for tests only"},
		{file: "cache/backends/memory/m_test.go", imports: "cache/cachetest"},

		{file: "entities/load.go", imports: "entities/internal/pointer"},
		{file: "entities/load.go", imports: "adapter", refused: "knows nothing of ours"},
		{file: "entities/load_test.go", imports: "auth", refused: "knows nothing of ours"},

		{file: "auth/auth.go", imports: "cache"},
		{file: "auth/auth.go", imports: "adapter", refused: "what an adapter or an entity is"},
		{file: "auth/auth.go", imports: "entities", refused: "what an adapter or an entity is"},
		{file: "auth/auth.go", imports: "cmd/keyhitch", refused: "what an adapter or an entity is"},
		{file: "auth/auth.go", imports: "auth/methods", refused: "cmd passes the lists in"},
		{file: "auth/auth.go", imports: "auth/dialects/iap", refused: "cmd passes the lists in"},
		{file: "auth/auth.go", imports: "cache/backends", refused: "cmd passes the lists in"},
		{file: "auth/auth_test.go", imports: "cache/backends/memory"},
		{file: "auth/methods/methods.go", imports: "auth/methods/basic"},
		{file: "auth/methods/basic/basic.go", imports: "auth"},
		{file: "auth/methods/basic/basic.go", imports: "auth/internal/endpoint"},
		{file: "auth/methods/basic/basic.go", imports: "auth/methods/apikey", refused: "not its neighbours"},
		{file: "auth/methods/basic/basic.go", imports: "cache", refused: "not its neighbours"},
		{file: "auth/dialects/iap/parse.go", imports: "auth/methods/basic"},
		{file: "auth/dialects/iap/parse.go", imports: "auth/dialects/port", refused: "translates a spelling"},
		{file: "auth/dialects/iap/parse.go", imports: "entities", refused: "translates a spelling"},
		{file: "auth/account/account.go", imports: "auth"},
		{file: "auth/account/account.go", imports: "auth/account/backends/file", refused: "that auth declares"},
		{file: "auth/authtest/server.go", imports: "cache/backends/memory"},

		{file: "adapter/open.go", imports: "entities"},
		{file: "adapter/open.go", imports: "auth/methods/basic", refused: "cmd passes the lists in"},
		{file: "adapter/open.go", imports: "cache/backends/memory", refused: "cmd passes the lists in"},
		{file: "adapter/open.go", imports: "adapter/systems", refused: "cmd passes the lists in"},
		{file: "adapter/open.go", imports: "internal/gateway", refused: "below the programs"},
		{file: "adapter/open.go", imports: "cmd/keyhitch", refused: "below the programs"},
		{file: "adapter/systems/acme/acme.go", imports: "auth", refused: "a system is data"},

		{file: "internal/gateway/serve.go", imports: "auth/methods"},
		{file: "internal/gateway/serve.go", imports: "cmd/keyhitch", refused: "serve cmd"},
		{file: "keyhitch.go", imports: "cache/backends"},
		{file: "keyhitch.go", imports: "cmd/keyhitch", refused: "everything but cmd"},
		{file: "cmd/keyhitch/main.go", imports: "."},
		{file: "cmd/keyhitch/main.go", imports: "auth/authtest", refused: "for tests only"},
		{file: "test/e2e_test.go", imports: "cmd/keyhitch"},
		{file: "pkg/new/new.go", imports: "fmt", refused: "no row in internal/archtest/arrows.go knows the package pkg/new"},
	} {
		t.Run(tt.file+" imports "+tt.imports, func(t *testing.T) {
			want(t, check(t, tt.file, "package p\n\nimport _ %q\n", importPath(tt.imports)), tt.refused)
		})
	}
}

func TestProblemNamesFileLineAndImport(t *testing.T) {
	got := check(t, "cache/cache.go", "package cache\n\nimport (\n\t\"fmt\"\n\t%q\n)\n", importPath("auth"))
	want := []string{"cache/cache.go:5: imports auth: cache stores bytes, and knows nothing of ours"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHabits(t *testing.T) {
	for _, tt := range []struct {
		name, file, source, refused string
	}{
		{"init", "auth/a.go", "package auth\nfunc init() {}", "auth/a.go:2: func init"},
		{"init in a test", "auth/a_test.go", "package auth\nfunc init() {}", "func init"},
		{"init method", "auth/a.go", "package auth\ntype t int\nfunc (t) init() {}", ""},
		{"empty package name", "internal/util/a.go", "package util", "a package called util"},
		{"empty name in the plural", "internal/x/a.go", "package helpers", "a package called helpers"},
		{"telling package name", "internal/utility/a.go", "package utility", ""},
	} {
		t.Run(tt.name, func(t *testing.T) { want(t, check(t, tt.file, "%s", tt.source), tt.refused) })
	}
}

func TestOnlyTheModulesOwnSourceIsRead(t *testing.T) {
	const bad = "package util\nfunc init() {}"
	for _, name := range []string{
		"auth/testdata/a.go", "vendor/x/a.go", ".git/a.go", "_old/a.go", "tools/a.go", "auth/a.txt",
	} {
		want(t, check(t, name, "%s", bad), "")
	}
}

func TestSourceThatDoesNotParseIsAnError(t *testing.T) {
	if _, err := archtest.Check(fstest.MapFS{"a.go": {Data: []byte("package")}}); err == nil {
		t.Error("got no error, want one")
	}
}

// check runs the checker on a module of one file, beside a nested module in tools.
func check(t *testing.T, file, format string, args ...any) []string {
	t.Helper()
	problems, err := archtest.Check(fstest.MapFS{
		file:           {Data: fmt.Appendf(nil, format, args...)},
		"tools/go.mod": {Data: []byte("module tools")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

// want checks that there is exactly one problem that says refused, or none for "".
func want(t *testing.T, got []string, refused string) {
	t.Helper()
	switch {
	case refused == "" && len(got) > 0:
		t.Errorf("got %q, want no problem", got)
	case refused != "" && (len(got) != 1 || !strings.Contains(got[0], refused)):
		t.Errorf("got %q, want one problem that says %q", got, refused)
	}
}

func importPath(folder string) string {
	if folder == "fmt" {
		return folder
	}
	return path.Join("github.com/keyhitch/keyhitch", folder)
}
