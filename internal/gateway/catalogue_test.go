package gateway

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/errors.md")

func TestEveryFaultIsToldOnceAndWhole(t *testing.T) {
	plain := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, f := range catalogue {
		if !plain.MatchString(f.Code) || seen[f.Code] {
			t.Errorf("%q: want a code of small letters and hyphens that no other fault has", f.Code)
		}
		seen[f.Code] = true
		if f.Status < 400 || f.Status > 599 {
			t.Errorf("%s: got status %d, want that of a failure", f.Code, f.Status)
		}
		if f.Title == "" || strings.HasSuffix(f.Title, ".") || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: want a title without a stop and help in sentences", f.Code)
		}
		if !slices.ContainsFunc(steps, func(s struct{ name, title, text string }) bool { return s.name == f.Step }) {
			t.Errorf("%s: step %q is none of the error page's", f.Code, f.Step)
		}
	}
}

func TestEveryFaultIsInTheCatalogue(t *testing.T) {
	var listed, declared []string
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "catalogue.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if name := n.Names[0].Name; strings.HasPrefix(name, "fault") {
				declared = append(declared, name)
			}
		case *ast.CompositeLit:
			if _, ok := n.Type.(*ast.ArrayType); ok {
				for _, element := range n.Elts {
					listed = append(listed, element.(*ast.Ident).Name)
				}
			}
		}
		return true
	})
	slices.Sort(listed)
	slices.Sort(declared)
	if len(declared) < 20 || !slices.Equal(listed, declared) {
		t.Errorf("got the list %q, want every fault that is declared: %q", listed, declared)
	}
}

func TestTheErrorPageIsWhatTheCatalogueSays(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "errors.md")
	if *update {
		if err := os.WriteFile(name, []byte(errorPageText()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != errorPageText() {
		t.Errorf("docs/errors.md is stale (%v); run go generate ./internal/gateway", err)
	}
}

func TestEveryTypeLeadsToItsPlaceOnTheErrorPage(t *testing.T) {
	page := errorPageText()
	for _, f := range catalogue {
		if strings.Count(page, "\n### "+f.Code+"\n") != 1 {
			t.Errorf("%s: want one heading for %s", f.Code, errorPage+f.Code)
		}
	}
}
