package custom

import (
	"slices"

	"github.com/keyhitch/keyhitch/auth"
)

// Template is the Placement of the method: texts for headers, query parameters and body members
// that hold expressions. NewTemplate makes it; the zero value places nothing.
type Template struct {
	headers []header
	query   []parameter
	body    []member
	spots   []spot
	masked  bool
}

// Written is a template, or what a call sends, as it is written: trees of strings, json.Number,
// bool, nil, lists and maps.
type Written struct {
	Headers     map[string]auth.Secret
	Query, Body map[string]any
}

// NewTemplate compiles a template. It is usable when there are no faults.
func NewTemplate(w Written) (Template, []Fault) {
	var c compiler
	t := Template{
		headers: c.headers(w.Headers, place{}.member("headers")),
		query:   c.parameters(w.Query, place{}.member("queryParams")),
		body:    c.members(w.Body, place{}.member("body"), false),
	}
	t.spots = c.spots
	return t, c.faults
}

func (t Template) empty() bool { return len(t.headers)+len(t.query)+len(t.body) == 0 }

// Masked returns the template with masks for what it holds behind names that say secret.
func (t Template) Masked() auth.Placement {
	t.masked = true
	return t
}

// Render puts the texts together.
func (t Template) Render(token auth.Token) (auth.Injection, error) {
	f := filling{values: token.Values, masked: t.masked}
	var b auth.InjectionBuilder
	for _, h := range t.headers {
		b.Header(h.name, f.text(h.parts, h.sensitive))
	}
	for _, p := range t.query {
		values := make([]string, 0, len(p.values))
		for _, parts := range p.values {
			values = append(values, f.text(parts, p.sensitive))
		}
		b.QueryValues(p.name, values)
	}
	for _, m := range t.body {
		value, err := f.json(nil, m.value)
		if err != nil {
			return auth.Injection{}, err
		}
		b.Member(m.name, value)
	}
	return b.Build()
}

// expressions lists the texts of all expressions, each once.
func (t Template) expressions() []string {
	var list []string
	for _, e := range used(t.spots) {
		list = append(list, e.text)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func used(spots []spot) []*Expression {
	var list []*Expression
	for _, s := range spots {
		for _, p := range s.parts {
			if p.expr != nil {
				list = append(list, p.expr)
			}
		}
	}
	return list
}

func (t Template) secrets() []auth.Secret {
	return slices.Concat(headerSecrets(t.headers), querySecrets(t.query), memberSecrets(t.body))
}
