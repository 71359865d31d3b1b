package archtest

import (
	"slices"
	"strings"
)

// arrow says what the packages of one place may import of ours. Places are written like
// this, in both columns:
//
//	cache            that package
//	cache/...        that package and everything below
//	auth/methods/*   each member of a plural folder, with what is below the member; as the
//	                 left column it may also import its own tree
type arrow struct {
	place string
	may   []string
	why   string

	// strict holds for tests too. Elsewhere a test imports what it likes.
	strict bool
}

// arrows is the map of the module. The first row whose place matches decides; a package
// that no row knows is a problem, so that a new place is a decision.
var arrows = []arrow{
	{place: "cache/backends", may: []string{"cache", "cache/backends/*"},
		why: "the list names its members and nothing else"},
	{place: "cache/backends/*", may: []string{"cache"},
		why: "a backend knows the seam it fills"},
	{place: "cache/...", may: []string{"cache", "cache/cachetest"}, strict: true,
		why: "cache stores bytes, and knows nothing of ours"},

	{place: "entities/...", may: []string{"entities/..."}, strict: true,
		why: "entities reads definitions, and knows nothing of ours"},

	{place: "auth/methods", may: []string{"auth", "auth/methods/*"},
		why: "the list names its members and nothing else"},
	{place: "auth/methods/*", may: []string{"auth", "auth/internal/..."},
		why: "a method knows the seam it fills, not its neighbours"},
	{place: "auth/dialects", may: []string{"auth", "auth/dialects/*"},
		why: "the list names its members and nothing else"},
	{place: "auth/dialects/*", may: []string{"auth", "auth/internal/...", "auth/methods/*", "internal/settings"},
		why: "a dialect translates a spelling to methods"},
	{place: "auth/account/backends", may: []string{"auth", "auth/account", "auth/account/backends/*"},
		why: "the list names its members and nothing else"},
	{place: "auth/account/backends/*", may: []string{"auth", "auth/account"},
		why: "a backend knows the seam it fills"},
	{place: "auth/account/...", may: []string{"auth", "auth/account"},
		why: "accounts fill a seam that auth declares"},
	{place: "auth/...", may: []string{"auth", "auth/internal/...", "cache"},
		why: "auth does not know what an adapter or an entity is; cmd passes the lists in"},

	{place: "adapter/systems", may: []string{"adapter", "adapter/systems/*"},
		why: "the list names its members and nothing else"},
	{place: "adapter/systems/*", may: []string{"adapter"},
		why: "a system is data"},
	{place: "adapter/...", may: []string{"adapter", "adapter/internal/...", "auth", "cache", "entities/...", "internal/settings"},
		why: "adapter is below the programs; cmd passes the lists in"},

	{place: "examples", why: "examples are data to copy"},
	{place: "examples/demo", may: []string{"internal/demo"},
		why: "README's first command must build soon: it is the story and nothing else"},

	{place: "internal/settings", may: []string{"auth"},
		why: "settings is a leaf: whoever reads configuration uses it, and it knows only the Secret type"},
	{place: "internal/archtest", strict: true,
		why: "it judges the others"},
	{place: "internal/...", may: []string{"adapter/...", "auth/...", "cache/...", "entities/...", "examples", "internal/..."},
		why: "internal packages serve cmd"},
	{place: ".", may: []string{"adapter/...", "auth/...", "cache/...", "entities/...", "internal/..."},
		why: "the front door for Go programs is above everything but cmd"},
	{place: "cmd/...", may: []string{".", "adapter/...", "auth/...", "cache/...", "entities/...", "internal/...", "cmd/..."},
		why: "cmd wires everything"},
	{place: "test/...", may: []string{".", "adapter/...", "auth/...", "cache/...", "entities/...", "internal/...", "cmd/..."},
		why: "end-to-end tests use everything"},
}

func checkArrows(f file) []string {
	i := slices.IndexFunc(arrows, func(a arrow) bool { _, ok := match(a.place, f.folder); return ok })
	if i < 0 {
		return []string{f.problem(f.syntax.Name, "no row in internal/archtest/arrows.go knows the package %s", f.folder)}
	}
	var problems []string
	for _, spec := range f.syntax.Imports {
		target, ok := ours(spec)
		switch {
		case !ok:
		case isSuite(target) && !f.isTest():
			problems = append(problems, f.problem(spec, "imports %s: a suite is for tests only", target))
		case !arrows[i].allows(f, target):
			problems = append(problems, f.problem(spec, "imports %s: %s", target, arrows[i].why))
		}
	}
	return problems
}

func (a arrow) allows(f file, target string) bool {
	if f.isTest() && !a.strict {
		return true
	}
	if tree, _ := match(a.place, f.folder); strings.HasSuffix(a.place, "/*") && under(tree, target) {
		return true
	}
	if f.folder == target { // the package's own external test
		return true
	}
	return slices.ContainsFunc(a.may, func(place string) bool { _, ok := match(place, target); return ok })
}

// match reports whether the folder is in the place, and the top of the tree that it is in:
// the member's folder for «/*», the place itself otherwise.
func match(place, folder string) (tree string, ok bool) {
	if top, ok := strings.CutSuffix(place, "/..."); ok {
		return top, under(top, folder)
	}
	if list, ok := strings.CutSuffix(place, "/*"); ok {
		rest, ok := strings.CutPrefix(folder, list+"/")
		member, _, _ := strings.Cut(rest, "/")
		return list + "/" + member, ok
	}
	return place, place == folder
}

func under(top, folder string) bool {
	return folder == top || strings.HasPrefix(folder, top+"/")
}
