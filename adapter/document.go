package adapter

import (
	"errors"
	"strconv"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// loadDocument reads a configuration whose dialect also says where the system is. It has no
// declared actions: Request and Client lead to the system.
func (d *Definition) loadDocument(dialect auth.SystemDialect, doc *settings.Document) error {
	tree, at, notes, ok := dialect.Tree(doc.Root())
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
		shape := settings.ShapeOf(shaped.Shape())
		for _, a := range d.options.Set {
			var err error
			if assigned, err = shape.Assign(assigned, a.Path, a.Value); err != nil {
				return &CallError{Reason: "--set", Err: err}
			}
		}
	}
	expanded, found := settings.Expand(assigned, at, d.lookup())
	d.report(doc, found)
	if found.Fatal() || len(notes) > 0 {
		return nil
	}
	d.main, found = d.settleDocument(dialect, expanded)
	d.report(doc, found)
	return nil
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
