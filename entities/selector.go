package entities

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Selector takes a part out of a JSON value: the subset of JSON queries that adapters use.
//
//	a.b              member b of member a
//	a[2]             third item
//	a[name=value]    first item whose member name is value
//	a[*name=value]   all such items; what follows is taken of each
//	a[**]            every object below a, depth first
//
// The zero Selector selects everything.
type Selector struct{ steps []step }

type step struct {
	kind        stepKind
	name, value string
	index       int
}

type stepKind int

const (
	stepName stepKind = iota
	stepIndex
	stepFirst
	stepAll
	stepDeep
)

// ParseSelector reads a selector; an empty text selects everything.
func ParseSelector(text string) (Selector, error) {
	var s Selector
	rest := text
	for rest != "" {
		st, after, err := parseStep(rest, rest == text)
		if err != nil {
			return Selector{}, fmt.Errorf("%w at character %d of selector %q", err, len(text)-len(rest)+1, text)
		}
		s.steps = append(s.steps, st)
		rest = after
	}
	return s, nil
}

const notInName = ".[]{}()|:*?!~<>=&,\"'"

func parseStep(text string, first bool) (step, string, error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, rest, closed := strings.Cut(inner, "]")
		if !closed {
			return step{}, "", fmt.Errorf("no ] to close [")
		}
		st, err := parseBracket(inner)
		return st, rest, err
	}
	if !first {
		var dot bool
		if text, dot = strings.CutPrefix(text, "."); !dot {
			return step{}, "", fmt.Errorf("want . or [")
		}
	}
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		return step{}, "", fmt.Errorf("a name is missing")
	}
	if i := strings.IndexAny(text[:end], notInName); i >= 0 {
		return step{}, "", fmt.Errorf("%q is not supported", text[i:i+1])
	}
	return step{name: text[:end]}, text[end:], nil
}

func parseBracket(inner string) (step, error) {
	if inner == "**" {
		return step{kind: stepDeep}, nil
	}
	if n, err := strconv.Atoi(inner); err == nil && n >= 0 && inner[0] != '+' {
		return step{kind: stepIndex, index: n}, nil
	}
	st := step{kind: stepFirst}
	if rest, all := strings.CutPrefix(inner, "*"); all {
		st.kind, inner = stepAll, rest
	}
	name, value, ok := strings.Cut(inner, "=")
	if !ok || name == "" || strings.ContainsAny(name, notInName) || strings.ContainsAny(value, "[]{}|=&") {
		return step{}, fmt.Errorf("want [n], [name=value], [*name=value] or [**]")
	}
	st.name, st.value = name, value
	return st, nil
}

// Select returns the selected part of v, and false if there is none.
func (s Selector) Select(v any) (any, bool) {
	many := false // v is a list that [*…] or [**] made
	for _, st := range s.steps {
		next, ok := st.of(v, many)
		if !ok {
			return nil, false
		}
		v = next
		many = st.kind == stepAll || st.kind == stepDeep || many && st.kind == stepName
	}
	return v, true
}

func (st step) of(v any, many bool) (any, bool) {
	switch st.kind {
	case stepIndex:
		list, _ := v.([]any)
		if st.index >= len(list) {
			return nil, false
		}
		return list[st.index], true
	case stepFirst, stepAll:
		return st.matching(v)
	case stepDeep:
		found, deep := []any{}, deeper(v)
		for _, item := range deep {
			found = objectsIn(found, item)
		}
		return found, v != nil
	}
	if many {
		return st.ofEach(v.([]any)), true
	}
	return member(v, st.name)
}

func (st step) ofEach(list []any) []any {
	out := make([]any, 0, len(list))
	for _, item := range list {
		if value, ok := member(item, st.name); ok {
			out = append(out, value)
		}
	}
	return out
}

func (st step) matching(v any) (any, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	found := []any{}
	for _, item := range list {
		if value, ok := member(item, st.name); !ok || !looksLike(value, st.value) {
			continue
		}
		if st.kind == stepFirst {
			return item, true
		}
		found = append(found, item)
	}
	return found, st.kind == stepAll
}

// looksLike compares as text, so that 7 and true match too.
func looksLike(v any, text string) bool {
	switch v.(type) {
	case nil, []any, map[string]any, Object:
		return false
	}
	s, err := scalarText(v)
	return err == nil && s == text
}

func member(v any, name string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		value, ok := v[name]
		return value, ok
	case Object:
		return v.Get(name)
	}
	return nil, false
}

// deeper returns the items or member values of v, by sorted name.
func deeper(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case map[string]any:
		out := make([]any, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, v[name])
		}
		return out
	case Object:
		out := make([]any, len(v))
		for i, f := range v {
			out[i] = f.Value
		}
		return out
	}
	return nil
}

func objectsIn(found []any, v any) []any {
	switch v.(type) {
	case map[string]any, Object:
		found = append(found, v)
	}
	for _, item := range deeper(v) {
		found = objectsIn(found, item)
	}
	return found
}
