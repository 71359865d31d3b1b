package custom

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/keyhitch/keyhitch/auth"
)

// value is a JSON value whose strings are taken apart.
type value struct {
	kind      byte     // as jsontext.Kind: '"', '{', '[', or '0' for all that is written as it is
	parts     []part   // of a string
	members   []member // of an object or a list
	raw       string   // a number, a boolean or null
	sensitive bool     // by the names above it
}

type member struct {
	name  string // empty in a list
	value *value
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (c *compiler) tree(v any, at place, sensitive bool) *value {
	switch v := v.(type) {
	case string:
		return &value{kind: '"', parts: c.text(v, at, sensitive), sensitive: sensitive}
	case map[string]any:
		return &value{kind: '{', members: c.members(v, at, sensitive)}
	case []any:
		out := &value{kind: '['}
		for i, item := range v {
			out.members = append(out.members, member{value: c.tree(item, at.item(i), sensitive)})
		}
		return out
	default:
		raw, _ := json.Marshal(v) // json.Number, bool or nil: what a tree holds
		return &value{kind: '0', raw: string(raw), sensitive: sensitive}
	}
}

func (c *compiler) members(tree map[string]any, at place, sensitive bool) []member {
	var list []member
	for _, name := range sortedNames(tree) {
		v := c.tree(tree[name], at.member(name), sensitive || auth.SensitiveName(name))
		list = append(list, member{name, v})
	}
	return list
}

// parameter is a query parameter; a list is sent as several of one name.
type parameter struct {
	name      string
	values    [][]part
	sensitive bool
}

func (c *compiler) parameters(tree map[string]any, at place) []parameter {
	var list []parameter
	for _, name := range sortedNames(tree) {
		p, at := parameter{name: name, sensitive: auth.SensitiveName(name)}, at.member(name)
		if items, ok := tree[name].([]any); ok {
			for i, item := range items {
				p.values = append(p.values, c.single(item, at.item(i), p.sensitive))
			}
		} else {
			p.values = [][]part{c.single(tree[name], at, p.sensitive)}
		}
		list = append(list, p)
	}
	return list
}

// single is a value that is one text in a query.
func (c *compiler) single(v any, at place, sensitive bool) []part {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return c.text(v, at, sensitive)
	case bool:
		return []part{{literal: auth.NewSecret(strconv.FormatBool(v))}}
	case json.Number:
		return []part{{literal: auth.NewSecret(string(v))}}
	default:
		c.fault(at, "is an object or a list, which a query parameter cannot hold")
		return nil
	}
}

// filling is what goes where expressions are, and what is hidden of the texts around them.
type filling struct {
	values  map[string]auth.Secret // by the expressions' texts; nil: stand-ins
	masked  bool
	written bool                // expressions as the template writes them
	escape  func(string) string // of values; nil: as they are
}

// text puts a text together.
func (f filling) text(parts []part, sensitive bool) string {
	var out []byte
	hide := f.masked && sensitive
	for _, p := range parts {
		switch {
		case p.expr != nil:
			out = append(out, f.value(p.expr)...)
		case hide && (len(parts) == 1 || !scheme.MatchString(p.literal.Reveal())):
			out = append(out, p.literal.Masked().Reveal()...)
		default:
			out = append(out, p.literal.Reveal()...)
		}
	}
	return string(out)
}

// value is what an expression gave. A cache keeps no empty values, so what a token lacks was empty.
func (f filling) value(e *Expression) string {
	found, ok := f.values[e.text]
	text := found.Reveal()
	switch {
	case f.written:
		return "{{" + e.text + "}}"
	case !ok && (f.masked || f.values == nil):
		text = auth.Unknown(e.text).Reveal()
	}
	if f.escape != nil {
		return f.escape(text)
	}
	return text
}

// json appends a value as compact JSON.
func (f filling) json(out []byte, v *value) ([]byte, error) {
	switch v.kind {
	case '"':
		return jsontext.AppendQuote(out, f.text(v.parts, v.sensitive))
	case '{':
		return f.list(out, v.members, '{', '}')
	case '[':
		return f.list(out, v.members, '[', ']')
	}
	if f.masked && v.sensitive && v.raw != "null" && v.raw != "true" && v.raw != "false" {
		return jsontext.AppendQuote(out, auth.NewSecret(v.raw).Masked().Reveal())
	}
	return append(out, v.raw...), nil
}

func (f filling) list(out []byte, members []member, first, last byte) ([]byte, error) {
	out = append(out, first)
	for i, m := range members {
		var err error
		if i > 0 {
			out = append(out, ',')
		}
		if first == '{' {
			if out, err = jsontext.AppendQuote(out, m.name); err != nil {
				return nil, err
			}
			out = append(out, ':')
		}
		if out, err = f.json(out, m.value); err != nil {
			return nil, err
		}
	}
	return append(out, last), nil
}
