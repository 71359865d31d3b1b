package entities

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// An Object is a JSON object whose members keep their order.
type Object []Field

// A Field is one member of an Object. Its value is nil, a bool, a string, a number
// (json.Number or a Go number), an Object, a map[string]any or a []any.
type Field struct {
	Name  string
	Value any
}

// Get returns the value of the first field called name. It looks at one field after the
// other; use Map to look up many.
func (o Object) Get(name string) (any, bool) {
	for _, f := range o {
		if f.Name == name {
			return f.Value, true
		}
	}
	return nil, false
}

// Map returns the fields by name.
func (o Object) Map() map[string]any {
	m := make(map[string]any, len(o))
	for _, f := range o {
		m[f.Name] = f.Value
	}
	return m
}

// Merge returns base followed by the fields of over; a field of both has the value of over
// in the place of base.
func Merge(base, over Object) Object {
	b := newBuilder(len(base) + len(over))
	for _, f := range base {
		b.set(f.Name, f.Value)
	}
	for _, f := range over {
		b.set(f.Name, f.Value)
	}
	return b.fields
}

// UnmarshalJSON reads one JSON object. Numbers stay exact (json.Number); nested values are
// plain ones. Of duplicate names the last value wins, in the place of the first.
func (o *Object) UnmarshalJSON(data []byte) error {
	v, err := parseJSON(data, true)
	if err != nil {
		return err
	}
	obj, ok := v.(Object)
	if !ok {
		return fmt.Errorf("is %s, want object", kindOf(v))
	}
	for i := range obj {
		obj[i].Value = plain(obj[i].Value)
	}
	*o = obj
	return nil
}

// MarshalJSON writes the fields in order and escapes nothing for HTML.
func (o Object) MarshalJSON() ([]byte, error) { return appendJSON(nil, o) }

// asObject sees v as an ordered object: a map's names are sorted.
func asObject(v any) (Object, bool) {
	switch v := v.(type) {
	case Object:
		return v, true
	case map[string]any:
		o := make(Object, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			o = append(o, Field{name, v[name]})
		}
		return o, true
	}
	return nil, false
}

// plain turns every Object inside v into a map[string]any; what holds none is returned as it is.
func plain(v any) any {
	if !holdsObject(v) {
		return v
	}
	return copyPlain(v)
}

func holdsObject(v any) bool {
	switch v := v.(type) {
	case Object:
		return true
	case map[string]any:
		for _, item := range v {
			if holdsObject(item) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, holdsObject)
	}
	return false
}

func copyPlain(v any) any {
	switch v := v.(type) {
	case Object:
		m := make(map[string]any, len(v))
		for _, f := range v {
			m[f.Name] = copyPlain(f.Value)
		}
		return m
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, item := range v {
			m[name] = copyPlain(item)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = copyPlain(item)
		}
		return list
	}
	return v
}

// normal brings a Go value of any type to the types that a Field may hold; what holds no
// other is returned as it is.
func normal(v any) (any, error) {
	if isNormal(v) {
		return v, nil
	}
	return copyNormal(v)
}

func isNormal(v any) bool {
	switch v := v.(type) {
	case nil, bool, string, json.Number:
		return true
	case Object:
		return !slices.ContainsFunc(v, func(f Field) bool { return !isNormal(f.Value) })
	case map[string]any:
		for _, item := range v {
			if !isNormal(item) {
				return false
			}
		}
		return true
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !isNormal(item) })
	}
	return false
}

func copyNormal(v any) (out any, err error) {
	switch v := v.(type) {
	case nil, bool, string, json.Number:
		return v, nil
	case Object:
		o := make(Object, len(v))
		for i, f := range v {
			o[i].Name = f.Name
			if o[i].Value, err = copyNormal(f.Value); err != nil {
				return nil, err
			}
		}
		return o, nil
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, item := range v {
			if m[name], err = copyNormal(item); err != nil {
				return nil, err
			}
		}
		return m, nil
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			if list[i], err = copyNormal(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("is no JSON value: Go type %T", v)
	}
	return Decode(JSON, text)
}
