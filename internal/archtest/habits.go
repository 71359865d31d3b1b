package archtest

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// emptyNames are package names that say nothing about what is inside.
var emptyNames = []string{"base", "common", "helper", "manager", "misc", "shared", "util"}

func checkHabits(f file) []string {
	var problems []string
	for _, name := range []string{f.syntax.Name.Name, path.Base(f.folder)} {
		if slices.Contains(emptyNames, strings.TrimSuffix(name, "s")) {
			problems = append(problems, f.problem(f.syntax.Name, "a package called %s: say what it is for", name))
			break
		}
	}
	for _, decl := range f.syntax.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			problems = append(problems, f.problem(fn, "func init: nothing happens by being imported"))
		}
	}
	return problems
}
