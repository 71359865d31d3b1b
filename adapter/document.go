package adapter

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// loadDocument reads a configuration whose dialect also says where the system is. It has no
// declared actions: Request and Client lead to the system.
func (d *Definition) loadDocument(dialect auth.SystemDialect, doc *settings.Document) error {
	defer d.sortProblems()
	tree, at, notes, ok := dialect.Tree(doc.Root())
	if !ok {
		// Somebody has named the dialect, so there is nothing to find out.
		tree, ok = doc.Root().(map[string]any)
	}
	if !ok {
		d.report(doc, settings.Problems{{Reason: "is no configuration in the " + dialect.Name() + " dialect"}})
		return nil
	}
	d.at = at
	for _, n := range notes {
		d.report(doc, settings.Problems{{Pointer: n.Pointer, Reason: n.Reason}})
	}
	var assigned any = tree
	if shaped, ok := dialect.(interface{ Shape() any }); ok {
		var err error
		if assigned, err = d.assign(settings.ShapeOf(shaped.Shape()), assigned); err != nil {
			return err
		}
	}
	expanded, unresolved := d.expand(assigned)
	d.report(doc, unresolved)
	if len(notes) > 0 {
		return nil
	}
	// What a reference does not bring hides no other problem: its text stays, and stands in.
	settled, found := d.settleDocument(dialect, expanded)
	d.main = settled
	d.report(doc, beyond(unresolved, found))
	return nil
}

// sortProblems brings the problems into the order of the file.
func (d *Definition) sortProblems() {
	slices.SortStableFunc(d.problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// beyond returns what was found elsewhere than at unresolved references or below.
func beyond(unresolved, found settings.Problems) settings.Problems {
	return slices.DeleteFunc(found, func(p *settings.Problem) bool {
		return slices.ContainsFunc(unresolved, func(u *settings.Problem) bool {
			return p.Pointer == u.Pointer || strings.HasPrefix(p.Pointer, u.Pointer+"/")
		})
	})
}

// noInstance says why a document is no service instance, and what it may have been meant for.
func noInstance(root any) string {
	document, _ := root.(map[string]any)
	if _, has := document["baseUrl"]; has {
		return "has a baseUrl, but no authType; write authType beside it (none, bearer_token, basic, api_key or custom), or name the dialect (--dialect port)"
	}
	return "is no service instance: it must be an object with host and authentication, or hold one in properties"
}

// climbs reports whether a part of a path is .., in any spelling.
func climbs(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool {
		plain, err := url.PathUnescape(part)
		return err == nil && plain == ".."
	})
}

func (d *Definition) lookup() settings.Lookup {
	return settings.Lookup{Env: d.options.LookupEnv, File: d.options.ReadFile}
}

// settleDocument compiles the configuration, and makes the properties of what it says of the system.
func (d *Definition) settleDocument(dialect auth.Dialect, tree any) (settled, settings.Problems) {
	var s settled
	spec, err := dialect.Parse(auth.Source{Raw: tree, At: d.at, Owner: d.name})
	found := problemsOf(err, d.at)
	for _, n := range spec.Notes {
		found = append(found, &settings.Problem{Pointer: n.Pointer, Reason: n.Reason, Warning: true})
	}
	if found.Fatal() {
		return s, found
	}
	_ = settings.Decode(map[string]any{}, "", &s.props) // the defaults; that host is missing is mended below
	base := spec.System.BaseURL
	s.props.Host, s.props.Protocol = base.Hostname(), base.Scheme
	s.props.Port, _ = strconv.Atoi(base.Port())
	if spec.System.Timeout > 0 {
		s.props.Request.AttemptTimeout = int(spec.System.Timeout.Milliseconds())
	}
	s.spec, s.prefix = spec, strings.TrimRight(base.EscapedPath(), "/")
	if _, err := baseURL(&s.props); err != nil {
		found = append(found, &settings.Problem{Pointer: d.at + "/baseUrl", Reason: err.Error()})
	}
	return s, found
}

// problemsOf takes a dialect's error apart.
func problemsOf(err error, at string) settings.Problems {
	var found settings.Problems
	if err == nil || errors.As(err, &found) {
		return found
	}
	return settings.Problems{{Pointer: at, Reason: err.Error()}}
}
