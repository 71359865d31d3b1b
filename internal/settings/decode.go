package settings

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/invopop/jsonschema"
)

// Decode checks a tree against the struct that into points to, fills the struct, and
// returns every problem; their pointers begin with at.
//
// At each object that the struct describes, null and "" count as absent, unknown members
// and those of the platform are warnings, and absent members take the default of their
// tag. Members with an error are left out, so the struct holds what is right. The struct
// should be zero before. Fields of type any get the tree's own kinds of values.
func Decode(tree any, at string, into any) Problems {
	d := new(decoder)
	clean, ok := d.value(tree, ShapeOf(into), at)
	if !ok {
		clean = d.defaults(ShapeOf(into))
	}
	err := jsonv2.Unmarshal(appendJSON(nil, clean), into, exactNumbers)
	if err != nil {
		p := &Problem{Pointer: at, Reason: "has a value that is not accepted here"}
		if semantic, ok := errors.AsType[*jsonv2.SemanticError](err); ok {
			p.Pointer = at + string(semantic.JSONPointer)
		}
		d.problems = append(d.problems, p)
	}
	return d.problems
}

// exactNumbers reads numbers as json.Number where the struct does not say what they are.
var exactNumbers = jsonv2.WithUnmarshalers(jsonv2.UnmarshalFromFunc(func(dec *jsontext.Decoder, v *any) error {
	if dec.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	tok, err := dec.ReadToken()
	*v = json.Number(tok.String())
	return err
}))

type decoder struct{ problems Problems }

func (d *decoder) error(at, reason string) {
	d.problems = append(d.problems, &Problem{Pointer: at, Reason: reason})
}

func (d *decoder) warn(at, reason string) {
	d.problems = append(d.problems, &Problem{Pointer: at, Reason: reason, Warning: true})
}

// value returns what is right about v, and false when nothing is.
func (d *decoder) value(v any, s *Shape, at string) (any, bool) {
	switch {
	case s.members != nil:
		if m, ok := v.(map[string]any); ok {
			return d.object(m, s, at), true
		}
		d.error(at, mismatch(v, "object"))
		return nil, false
	case s.items != nil:
		list, ok := v.([]any)
		if !ok {
			d.error(at, mismatch(v, "array"))
			return nil, false
		}
		return d.array(list, s, at), true
	default:
		out, problems := check(v, s.schema, at)
		d.problems = append(d.problems, problems...)
		return out, len(problems) == 0
	}
}

func (d *decoder) array(list []any, s *Shape, at string) any {
	out := make([]any, 0, len(list))
	for i, v := range list {
		if item, ok := d.value(v, s.items, at+"/"+strconv.Itoa(i)); ok {
			out = append(out, item)
		}
	}
	return out
}

func (d *decoder) object(m map[string]any, s *Shape, at string) map[string]any {
	out := d.defaults(s)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v, where := m[name], join(at, name)
		if absent(v) {
			continue
		}
		known, ok := s.members[name]
		if !ok {
			d.unknown(where, name, s)
			continue
		}
		if known.platform && !empty(v, known.schema) {
			d.warn(where, "belongs to the platform and is not used here")
		}
		if clean, ok := d.value(v, known.Shape, where); ok {
			out[name] = clean
		}
	}
	for _, name := range s.names {
		if s.members[name].required && absent(m[name]) {
			d.error(join(at, name), "is required")
		}
	}
	return out
}

func (d *decoder) unknown(at, name string, s *Shape) {
	d.warn(at, "is not a known property"+didYouMean(name, s.names))
}

// defaults returns an object with the defaults of all members, those of nested objects too.
func (d *decoder) defaults(s *Shape) map[string]any {
	out := map[string]any{}
	for name, m := range s.members {
		switch {
		case m.schema.Default != nil:
			out[name] = m.schema.Default
		case m.members != nil && !m.optional:
			out[name] = d.defaults(m.Shape)
		}
	}
	return out
}

// absent reports whether a member counts as not written.
func absent(v any) bool { return v == nil || v == "" }

// empty reports whether a value says nothing that its absence would not.
func empty(v any, s *jsonschema.Schema) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			if !empty(member, nil) {
				return false
			}
		}
		return true
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !empty(item, nil) })
	case json.Number:
		return same(v, 0) || s != nil && same(v, s.Default)
	default:
		return absent(v) || v == false || s != nil && v == s.Default
	}
}

// appendJSON writes a tree. Members come in any order.
func appendJSON(b []byte, tree any) []byte {
	switch v := tree.(type) {
	case map[string]any:
		b = append(b, '{')
		for name, member := range v {
			b, _ = jsontext.AppendQuote(b, name)
			b = append(b, ':')
			b = append(appendJSON(b, member), ',')
		}
		return closeWith(b, '}')
	case []any:
		b = append(b, '[')
		for _, item := range v {
			b = append(appendJSON(b, item), ',')
		}
		return closeWith(b, ']')
	case string:
		b, _ = jsontext.AppendQuote(b, v)
		return b
	case json.Number:
		return append(b, v...)
	case bool:
		return strconv.AppendBool(b, v)
	case nil:
		return append(b, "null"...)
	default: // a default that a type's own schema names in Go
		raw, _ := jsonv2.Marshal(v)
		return append(b, raw...)
	}
}

func closeWith(b []byte, end byte) []byte {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, end)
}
