package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/invopop/jsonschema"
)

// Assign returns the tree with one member set: path names it (a.b.c; \. is a dot in a
// name; numbers count items), and the value becomes what the shape wants there: text,
// number, boolean, or JSON where several types or none are wanted (a value that is not JSON
// is then a text). Objects on the way are made; the tree itself is not changed. The error
// names the path and never the value.
func (s *Shape) Assign(tree any, path, value string) (any, error) {
	a := assignment{path: path, value: value}
	if !utf8.ValidString(value) {
		return nil, a.error("is set to something that is not UTF-8 text")
	}
	return a.set(tree, s, splitPath(path))
}

type assignment struct{ path, value string }

func splitPath(path string) []string {
	const dot = "\x00"
	parts := strings.Split(strings.ReplaceAll(path, `\.`, dot), ".")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], dot, ".")
	}
	return parts
}

// set returns v with the rest of the path set in it.
func (a *assignment) set(v any, s *Shape, rest []string) (any, error) {
	if len(rest) == 0 {
		return a.convert(s)
	}
	if rest[0] == "" {
		return nil, a.error("has an empty name in it")
	}
	if list, ok := v.([]any); ok || absent(v) && s.isList() {
		return a.setItem(list, s, rest)
	}
	next, err := a.step(s, rest)
	if err != nil {
		return nil, err
	}
	old, _ := v.(map[string]any)
	member, err := a.set(old[rest[0]], next, rest[1:])
	if err != nil {
		return nil, err
	}
	out := maps.Clone(old)
	if out == nil {
		out = map[string]any{}
	}
	out[rest[0]] = member
	return out, nil
}

func (a *assignment) setItem(list []any, s *Shape, rest []string) (any, error) {
	i, err := strconv.Atoi(rest[0])
	if err != nil || i < 0 || i > len(list) {
		return nil, a.error(fmt.Sprintf("wants an item number of 0 to %d where it has a name", len(list)))
	}
	var old any
	if i < len(list) {
		old = list[i]
	}
	item, err := a.set(old, itemShape(s), rest[1:])
	if err != nil {
		return nil, err
	}
	out := slices.Clone(list)
	if i == len(list) {
		return append(out, item), nil
	}
	out[i] = item
	return out, nil
}

func itemShape(s *Shape) *Shape {
	if s.items != nil {
		return s.items
	}
	for _, alternative := range alternatives(s.schema) {
		if alternative.Items != nil {
			return &Shape{schema: alternative.Items}
		}
	}
	return anything
}

// isList reports whether only an array can have something inside it here.
func (s *Shape) isList() bool {
	has := func(kind string) bool {
		return slices.ContainsFunc(alternatives(s.schema), func(alt *jsonschema.Schema) bool { return alt.Type == kind })
	}
	return has("array") && !has("object") && !has("")
}

var anything = &Shape{schema: new(jsonschema.Schema)}

// step returns the shape of the member that comes next.
func (a *assignment) step(s *Shape, rest []string) (*Shape, error) {
	if s.members != nil {
		m, ok := s.members[rest[0]]
		if ok {
			return m.Shape, nil
		}
		return nil, a.error(strconv.Quote(rest[0]) + " is not a known property" + didYouMean(rest[0], s.names))
	}
	for _, alternative := range alternatives(s.schema) {
		switch {
		case alternative.Type != "" && alternative.Type != "object":
		case alternative.AdditionalProperties != nil:
			return &Shape{schema: alternative.AdditionalProperties}, nil
		default:
			return anything, nil
		}
	}
	return nil, a.error("goes on after a property that has no members: " + strconv.Quote(rest[0]))
}

func alternatives(s *jsonschema.Schema) []*jsonschema.Schema {
	if all := slices.Concat(s.AnyOf, s.OneOf); len(all) > 0 {
		return all
	}
	return []*jsonschema.Schema{s}
}

// convert makes the value what the shape wants.
func (a *assignment) convert(s *Shape) (any, error) {
	if a.value == "" {
		return "", nil // absent: the way back to the default
	}
	if s.schema.Type == "string" {
		return a.value, nil
	}
	v, isJSON := readJSON(a.value)
	text := false
	var want []string
	for _, alternative := range alternatives(s.schema) {
		if isJSON && (alternative.Type == "" || isType(v, alternative.Type)) {
			return v, nil
		}
		text = text || alternative.Type == "" || alternative.Type == "string"
		want = append(want, describe(alternative))
	}
	if text {
		return a.value, nil
	}
	return nil, a.error("wants " + strings.Join(want, " or "))
}

func (a *assignment) error(reason string) error {
	return errors.New(a.path + ": " + reason)
}
