package entities

import (
	"fmt"
	"strings"
)

// A Target is what a call brings to the path of its action.
type Target struct {
	BasePath, Version string
	ChoosePath        string // which version of an entitypath that has several
	PathVars          []any  // for {pathv1}, {pathv2} …; "" or nil leaves one out
	Query             Object // as mapped by the request schema
	Options           Object // of the call and global, merged; not mapped
	RawPathVars       bool   // encode_pathvars false: encode only what is illegal in a path
	RawQuery          bool   // encode_queryvars false: the same for query and options
	ValuesOnly        bool   // query_keys false: write the values of the query without names
	Path              string // if not empty, used instead of the entitypath
}

// A PathError says which path variable of a call is missing or cannot be used.
type PathError struct {
	Variable, Template, Reason string
}

// Error returns, for example: path variable pathv2 of /a/{pathv1}/b/{pathv2} is missing; …
func (e *PathError) Error() string {
	if e.Variable == "" {
		return fmt.Sprintf("path %s %s", e.Template, e.Reason)
	}
	return fmt.Sprintf("path variable %s of %s %s", e.Variable, e.Template, e.Reason)
}

// Target returns the path of a call, escaped and with a / in front, and its query without ?.
// {username} and {password} are left in the path for who sends the token request. The error
// is a *PathError or a *VersionError.
func (a *Action) Target(t Target) (path, rawQuery string, err error) {
	tpl, err := a.template(t)
	if err != nil {
		return "", "", err
	}
	r := rendering{target: &t, template: tpl, lax: a.Entity == genericEntity}
	before, after := "", ""
	holder := tpl.query
	if holder < 0 {
		holder = len(tpl.parts)
	} else if after, err = r.render(holder+1, len(tpl.parts)); err != nil {
		return "", "", err
	}
	if before, err = r.render(0, holder); err != nil {
		return "", "", err
	}
	path, rawQuery, err = a.compose(t, tpl.query >= 0, before, after)
	if err != nil {
		return "", "", err
	}
	path = collapse("/" + path)
	if dotSegments(path) > tpl.dots+dotSegments(t.BasePath) {
		return "", "", &PathError{Template: tpl.text, Reason: "would get a dot segment from its variables"}
	}
	return path, rawQuery, nil
}

// TakesQuery reports whether the path of such a call has a {query}; without one the query of
// the call is not used.
func (a *Action) TakesQuery(t Target) bool {
	tpl, err := a.template(t)
	return err == nil && tpl.query >= 0
}

func (a *Action) template(t Target) (*template, error) {
	if t.Path != "" {
		return parseTemplate(t.Path), nil
	}
	chosen, err := a.choosePath(t.ChoosePath)
	if err != nil {
		return nil, err
	}
	return chosen.template(), nil
}

// compose puts path and query together from the texts before and after {query}.
func (a *Action) compose(t Target, holder bool, before, after string) (path, query string, err error) {
	style := queryStyle{raw: t.RawQuery, valuesOnly: t.ValuesOnly}
	options, err := queryText(t.Options, queryStyle{raw: t.RawQuery})
	if err != nil {
		return "", "", err
	}
	path, query, inQuery := strings.Cut(before, "?")
	if holder {
		text, err := queryText(t.Query, style)
		if err != nil {
			return "", "", err
		}
		path, query = a.insertQuery(path, query, inQuery, text, after)
	}
	return path, joinQuery(query, options), nil
}

// insertQuery puts text in place of {query}, and what follows it in the template behind.
func (a *Action) insertQuery(path, fixed string, inQuery bool, text, after string) (string, string) {
	keyPath, keyQuery, hasMark := strings.Cut(a.queryKey, "?")
	keyPath, keyQuery = escapeIllegal(keyPath, legalInPath), escapeIllegal(keyQuery, legalInQuery)
	switch {
	case text == "":
	case !hasMark && !inQuery: // a matrix or path parameter
		path += keyPath + text
	case !hasMark:
		fixed = joinQuery(fixed, keyPath+text)
	default:
		path += keyPath
		fixed = joinQuery(fixed, keyQuery+text)
		inQuery = true
	}
	if !inQuery {
		if more, ok := strings.CutPrefix(after, "&"); ok && hasMark {
			return path, more
		}
		morePath, more, _ := strings.Cut(after, "?")
		return path + morePath, more
	}
	if strings.HasPrefix(after, "&") || strings.HasPrefix(after, "?") {
		return path, joinQuery(fixed, after[1:])
	}
	if text == "" {
		return path, joinQuery(fixed, after)
	}
	return path, fixed + after
}

// joinQuery joins two query texts with &.
func joinQuery(a, b string) string {
	a = strings.TrimSuffix(a, "&")
	if a == "" || b == "" {
		return a + b
	}
	return a + "&" + b
}

// collapse makes one / of several.
func collapse(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	out := make([]byte, 0, len(path))
	for i := range len(path) {
		if path[i] != '/' || i == 0 || path[i-1] != '/' {
			out = append(out, path[i])
		}
	}
	return string(out)
}
