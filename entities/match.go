package entities

import (
	"strconv"
	"strings"
)

// A CallShape is what a call brought; response objects are chosen by it.
type CallShape struct {
	Body                          any // object before translation, nil if none
	PathVars                      []any
	Query                         Object
	HasBody, HasQuery, HasOptions bool
}

// ResponseKey returns what selects the result in the answer to such a call, and false if no
// response object fits.
func (a *Action) ResponseKey(c CallShape) (Selector, bool) {
	r, ok := a.MatchResponse(c)
	return r.selector, ok
}

// MatchResponse returns the response object for such a call. Its type, in any case, is by
// falling rank: name-value of a body field; the value of a path variable; name=value of the
// query; WITHBODY; WITHPATHV1, WITHPATHV2, …; WITHQUERY; WITHOPTIONS; DEFAULT.
func (a *Action) MatchResponse(c CallShape) (ResponseObject, bool) {
	best, bestRank := -1, 0
	for i, r := range a.Responses {
		if rank, ok := c.rank(r.Type); ok && (best < 0 || rank < bestRank) {
			best, bestRank = i, rank
		}
	}
	if best < 0 {
		return ResponseObject{}, false
	}
	return a.Responses[best], true
}

// Ranks of response types; WITHPATHVn lies between withPathVar and withQuery.
const (
	byBody = iota
	byPathVar
	byQuery
	withBody
	withPathVar
	withQuery   = withPathVar + 1<<20
	withOptions = withQuery + 1
	byDefault   = withOptions + 1
)

func (c CallShape) rank(kind string) (int, bool) {
	upper := strings.ToUpper(kind)
	n, isPathVar := strings.CutPrefix(upper, "WITHPATHV")
	index, err := strconv.Atoi(n)
	switch {
	case kind == "":
		return byDefault, true
	case c.bodyHas(kind):
		return byBody, true
	case c.pathHas(kind):
		return byPathVar, true
	case c.queryHas(kind):
		return byQuery, true
	case upper == "WITHBODY" && c.HasBody:
		return withBody, true
	case isPathVar && err == nil && c.hasPathVar(index):
		return withPathVar + index, true
	case upper == "WITHQUERY" && c.HasQuery:
		return withQuery, true
	case upper == "WITHOPTIONS" && c.HasOptions:
		return withOptions, true
	}
	return byDefault, upper == "DEFAULT"
}

func (c CallShape) hasPathVar(n int) bool {
	if n < 1 || n > len(c.PathVars) || n >= 1<<20 {
		return false
	}
	v := c.PathVars[n-1]
	return v != nil && v != ""
}

func (c CallShape) bodyHas(kind string) bool {
	switch body := c.Body.(type) {
	case Object:
		return hasPair(body, "-", kind)
	case map[string]any:
		for name, value := range body {
			if isPair(name, "-", value, kind) {
				return true
			}
		}
	}
	return false
}

func (c CallShape) pathHas(kind string) bool {
	for _, v := range c.PathVars {
		if text, err := scalarText(v); err == nil && text != "" && strings.EqualFold(text, kind) {
			return true
		}
	}
	return false
}

func (c CallShape) queryHas(kind string) bool { return hasPair(c.Query, "=", kind) }

func hasPair(o Object, sign, kind string) bool {
	for _, f := range o {
		if isPair(f.Name, sign, f.Value, kind) {
			return true
		}
	}
	return false
}

// isPair reports whether kind is name, sign and value, in any case; the text is not put
// together, since bodies may be large.
func isPair(name, sign string, value any, kind string) bool {
	if len(kind) <= len(name)+len(sign) || !strings.EqualFold(kind[:len(name)], name) {
		return false
	}
	switch value.(type) {
	case nil, []any, map[string]any, Object:
		return false
	}
	text, err := scalarText(value)
	return err == nil && strings.HasPrefix(kind[len(name):], sign) && strings.EqualFold(kind[len(name)+len(sign):], text)
}
