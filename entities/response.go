package entities

import (
	"encoding/base64"
	"strings"

	"github.com/keyhitch/keyhitch/entities/crypt"
)

// MapResponse translates what the system answered to what the caller wants, and checks it.
// Objects come out as map[string]any. Of an array each element is translated; any value but an
// object or an array passes. The error is a *ValidationError.
func (s *Schema) MapResponse(action string, in any) (any, error) {
	in, err := normal(in)
	if err != nil {
		return nil, &ValidationError{"", err.Error()}
	}
	if s.root.untouched {
		return plain(withoutRequestType(in)), nil
	}
	list, isList := in.([]any)
	switch {
	case isList && s.root.typeFor(in) == "array":
		return s.responseArray(list)
	case isList:
		out := make([]any, len(list))
		for i, item := range list {
			if out[i], err = s.responseElement(action, item); err != nil {
				return nil, below(i, err)
			}
		}
		return out, nil
	}
	return s.responseElement(action, in)
}

func (s *Schema) responseArray(list []any) (any, error) {
	t := translation{strict: true}
	out := t.items(s.root, list, s.root.dynamicIn(false))
	if t.err == nil {
		t.err = s.validate(out)
	}
	if t.err != nil {
		return nil, t.err
	}
	return s.root.parsed(out), nil
}

func (s *Schema) responseElement(action string, in any) (any, error) {
	switch in.(type) {
	case Object, map[string]any:
	default:
		return in, nil
	}
	t := translation{strict: true}
	data := asBuilder(t.object(s.root.shape, in, s.root.dynamicIn(false)))
	if t.err != nil {
		return nil, t.err
	}
	s.root.shape.fillDefaults(data)
	out := data.fields.Map()
	if err := s.check(action, out); err != nil {
		return nil, err
	}
	delete(out, requestType)
	s.root.shape.parse(out)
	return out, nil
}

// Extract takes the schema's properties out of an answer without defaults and without checks:
// a value of another type than the schema says is returned as it is. Of an array the first
// element counts.
func (s *Schema) Extract(in any) map[string]any {
	in, err := normal(in)
	if err != nil {
		return nil
	}
	in = firstItem(in)
	if s.root.untouched {
		out, _ := plain(withoutRequestType(in)).(map[string]any)
		return out
	}
	switch in.(type) {
	case Object, map[string]any:
	default:
		return nil
	}
	t := translation{}
	out := t.object(s.root.shape, in, s.root.dynamicIn(false))
	s.root.shape.parse(out)
	return out
}

// A translation is one pass over an answer.
type translation struct {
	strict bool // leave out what has another type, and note what cannot be decoded
	err    error
}

func (t *translation) object(s *shape, in any, dynamic bool) map[string]any {
	out := make(map[string]any)
	for _, p := range s.properties {
		if p.Name == requestType || len(p.path) == 0 {
			continue
		}
		v, ok := p.path.lookup(in)
		if !ok {
			continue
		}
		if v, keep := t.value(p, v, dynamic); keep {
			out[p.Name] = v
		}
	}
	if !dynamic {
		return out
	}
	o, _ := asObject(in)
	for _, f := range o {
		if _, taken := out[f.Name]; !taken && !s.wireNames[f.Name] && f.Name != requestType {
			out[f.Name] = plain(f.Value)
		}
	}
	return out
}

// value translates one value; false leaves it out.
func (t *translation) value(p *property, v any, dynamic bool) (any, bool) {
	v, ok := p.filter.Select(v)
	if !ok {
		return nil, false
	}
	kind := p.typeFor(v)
	switch {
	case isScalar(kind):
		if v = firstItem(v); v == nil || v == "" {
			return nil, false
		}
	case kind == "array":
		list, ok := v.([]any)
		if !ok {
			return plain(v), !t.strict
		}
		items := t.items(p, list, p.dynamicIn(dynamic))
		if len(items) == 0 {
			return nil, false
		}
		v = items
	case kind == "object":
		if kindOf(v) != "object" {
			return plain(v), !t.strict
		}
		if !p.untouched {
			v = t.object(p.shape, v, p.dynamicIn(dynamic))
		}
	}
	return t.open(p, plain(v))
}

func (t *translation) items(p *property, list []any, dynamic bool) []any {
	out := make([]any, 0, len(list))
	for i, v := range list {
		keep := true
		if item := p.shape.item(i); item != nil && !p.untouched {
			v, keep = t.value(item, v, dynamic)
		}
		if keep {
			out = append(out, plain(v))
		}
	}
	return out
}

// open undoes encrypt and encode; only texts survive.
func (t *translation) open(p *property, v any) (any, bool) {
	if !p.encode && p.key == "" {
		return v, true
	}
	text, ok := v.(string)
	if !ok {
		return v, !t.strict
	}
	if p.key != "" {
		plain, err := crypt.Open(p.key, strings.TrimPrefix(text, crypt.Prefix))
		if err != nil {
			return t.refuse(p, "cannot be decrypted")
		}
		text = plain
	}
	if !p.encode {
		return text, true
	}
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return t.refuse(p, "is not base64")
	}
	return strings.ToValidUTF8(string(plain), "\ufffd"), true
}

func (t *translation) refuse(p *property, reason string) (any, bool) {
	if t.strict && t.err == nil {
		t.err = &ValidationError{pointerTo("", p.Name), reason}
	}
	return nil, false
}

// parse reads the JSON in texts of properties with parse: true.
func (s *shape) parse(m map[string]any) {
	for _, p := range s.properties {
		if v, ok := m[p.Name]; ok {
			m[p.Name] = p.parsed(v)
		}
	}
}

// parsed goes where translation went: those objects and arrays were made by it, so that they
// may be changed in place.
func (p *property) parsed(v any) any {
	kind := p.typeFor(v)
	switch v := v.(type) {
	case string:
		if p.parse {
			if value, err := Decode(JSON, []byte(v)); err == nil {
				return value
			}
		}
	case map[string]any:
		if kind == "object" && !p.untouched {
			p.shape.parse(v)
		}
	case []any:
		for i, item := range v {
			if inner := p.shape.item(i); inner != nil && kind == "array" && !p.untouched {
				v[i] = inner.parsed(item)
			}
		}
	}
	return v
}
