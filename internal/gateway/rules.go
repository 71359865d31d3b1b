package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// rule is one entry of a caller's allow list: what of which adapters.
//
//	acme/device/get       a declared action
//	acme/GET /v1/*        a method and a path
//	acme/*                both, all of it
//
// * stands for any characters, / included. Nothing else has a meaning of its own.
type rule struct {
	adapter glob
	action  glob // of entity/action
	method  glob
	path    glob
	calls   bool // it covers declared actions
	reaches bool // it covers paths
}

// parseRule reads an allow rule.
func parseRule(text string) (rule, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return rule{}, errors.New("holds a control character")
	}
	name, rest, found := strings.Cut(text, "/")
	switch {
	case text == "*":
		name, rest = "*", "*"
	case !found || name == "" || rest == "":
		return rule{}, errors.New("is no rule; write adapter/entity/action, adapter/METHOD /path or adapter/*")
	}
	r := rule{adapter: newGlob(name)}
	if rest == "*" {
		all := newGlob("*")
		r.action, r.method, r.path, r.calls, r.reaches = all, all, all, true, true
		return r, nil
	}
	if method, path, found := strings.Cut(rest, " "); found {
		r.method, r.path, r.reaches = newGlob(method), newGlob(path), true
		return r, errors.Join(checkMethod(method), checkPath(path))
	}
	if !strings.ContainsAny(rest, "/*") {
		return rule{}, fmt.Errorf("names no action; write %s/%s/* for all actions of the entity", name, rest)
	}
	r.action, r.calls = newGlob(rest), true
	return r, nil
}

// methods are those that a rule may name; a misspelt one would allow nothing.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions, http.MethodTrace, http.MethodConnect}

func checkMethod(method string) error {
	upper := strings.ToUpper(method)
	switch {
	case strings.Contains(method, "*"), slices.Contains(methods, method):
		return nil
	case slices.Contains(methods, upper):
		return errors.New("methods are upper case; write " + upper)
	}
	return errors.New("holds an unknown method; write GET, POST, … or * before the space")
}

// checkPath refuses paths that no request has when rules are compared.
func checkPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "*"):
		return errors.New("holds a path that does not begin with /")
	case strings.ContainsAny(path, "?#"):
		return errors.New("holds a query or fragment; rules are compared with the path alone")
	case slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }):
		return errors.New("holds a dot segment; no request that is passed on has one")
	}
	for i := range path {
		if path[i] == '%' && i+2 < len(path) {
			if _, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				return errors.New("is percent-encoded; rules are compared with the decoded path, so write it decoded")
			}
		}
	}
	return nil
}

// mayCall reports whether an allow rule covers a declared action.
func (c *Caller) mayCall(adapter, entity, action string) bool {
	return c == nil || slices.ContainsFunc(c.rules, func(r rule) bool {
		return r.calls && r.adapter.matches(adapter) && r.action.matches(entity+"/"+action)
	})
}

// mayReach reports whether an allow rule covers a path, which is cleaned and decoded. Who may GET
// may also send HEAD, which brings less.
func (c *Caller) mayReach(adapter, method, path string) bool {
	if c == nil {
		return true
	}
	for i := range c.rules {
		r := &c.rules[i]
		if r.reaches && r.adapter.matches(adapter) && r.path.matches(path) &&
			(r.method.matches(method) || method == http.MethodHead && r.method.matches(http.MethodGet)) {
			return true
		}
	}
	return false
}

// maySee reports whether any allow rule names the adapter.
func (c *Caller) maySee(adapter string) bool {
	return c == nil || slices.ContainsFunc(c.rules, func(r rule) bool { return r.adapter.matches(adapter) })
}

// may reports whether the caller's entry lists a privilege.
func (c *Caller) may(privilege string) bool {
	return c == nil || slices.Contains(c.privileges, privilege)
}

// privileges are what a caller's may list can hold.
var privileges = []string{"authData", "callProperties", "credential_headers", "files"}

// glob is a pattern split at its stars: what stands before, between and after them.
type glob []string

func newGlob(pattern string) glob { return strings.Split(pattern, "*") }

// matches compares the whole of text. The first fit of each middle part is as good as any later
// one, so this takes linear time for each part, whatever a caller sends.
func (g glob) matches(text string) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return text == first
	}
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range g[1 : len(g)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}
