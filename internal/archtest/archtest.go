// Package archtest keeps the arrows between our packages, as a test: who may import whom,
// and a few habits that a compiler does not check.
//
//	fs.FS ─ load ─▶ files: folder, imports, declarations ─ arrows.go, habits.go ─▶ problems
//
// It reads source text only: no build, no network, every operating system's files. Import
// cycles are left to the compiler, which refuses them.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

const module = "github.com/keyhitch/keyhitch"

// Check returns what is wrong in the module whose root is fsys: one line each, beginning
// with file and line, in the order of the tree.
func Check(fsys fs.FS) ([]string, error) {
	files, err := load(fsys)
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, f := range files {
		problems = append(problems, checkArrows(f)...)
		problems = append(problems, checkHabits(f)...)
	}
	return problems, nil
}

// file is one Go source file of the module.
type file struct {
	folder string // slash-separated, "." for the root; packages are called by it throughout
	syntax *ast.File
	fset   *token.FileSet
}

func (f file) problem(at ast.Node, format string, args ...any) string {
	p := f.fset.Position(at.Pos())
	return fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...))
}

// isTest reports whether only tests see the file: a _test.go file, or one of a suite.
func (f file) isTest() bool {
	name := f.fset.Position(f.syntax.Package).Filename
	return strings.HasSuffix(name, "_test.go") || isSuite(f.folder)
}

// isSuite reports whether the folder holds test support: cachetest, authtest, test, …
func isSuite(folder string) bool {
	return strings.HasSuffix(folder, "test") || folder == "test" || strings.HasPrefix(folder, "test/")
}

// ours returns the folder of an imported package of this module.
func ours(spec *ast.ImportSpec) (folder string, ok bool) {
	importPath, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return "", false
	}
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// load parses the files that the go command would see with every build tag.
func load(fsys fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && ignored(fsys, name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		f, err := parse(fsys, name)
		files = append(files, f)
		return err
	})
	return files, err
}

// ignored reports whether the go command skips the folder, or it is another module.
func ignored(fsys fs.FS, folder string) bool {
	base := path.Base(folder)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(folder, "go.mod"))
	return err == nil
}

func parse(fsys fs.FS, name string) (file, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return file{}, err
	}
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
	return file{path.Dir(name), syntax, fset}, err
}
